//! GoBGP 3, over its gRPC API.
//!
//! The path that somebody on this host gave it is read as it would be on the wire and given again with what an action changes; GoBGP replaces
//! in place, and puts its own AS number in front when it exports. The messages of the API are in `gobgp/api.rs`, path attributes in
//! `gobgp/attributes.rs`.

mod api;
mod attributes;

use super::announcement::{self, Plain};
use super::reconcile::Announcer;
use api::{AddPathRequest, AddPathResponse, Family, GetBgpRequest, GetBgpResponse, Path};
use api::{ListPathRequest, ListPathResponse, TableLookupPrefix};
use attributes::Attributes;
use core::time::Duration;
use engine::Action;
use ipnet::IpNet;
use prost::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// GoBGP answers within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// GoBGP as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its name.
    pub name: String,
    /// Of its API, on a loopback interface: nothing is encrypted.
    pub address: SocketAddr,
    /// What its announcements are without oopsd.
    pub plain: Plain,
}

/// What went wrong with the API, and what to do about it.
#[derive(Debug, Error)]
pub enum Error {
    /// The address cannot be one.
    #[error("{address}: not an address of GoBGP's API")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: tonic::transport::Error,
    },
    /// A call failed.
    #[error("{address}: GoBGP did not do {call}{}", advice(source))]
    Call {
        /// The address.
        address: SocketAddr,
        /// Which.
        call: &'static str,
        /// Why.
        source: Box<Status>,
    },
    /// No answer in time.
    #[error("{address}: GoBGP did not answer {call} in time")]
    Silent {
        /// The address.
        address: SocketAddr,
        /// Which.
        call: &'static str,
    },
}

fn advice(status: &Status) -> &'static str {
    let code = status.code();
    if code == Code::Unimplemented {
        " (oopsd speaks to GoBGP 3)"
    } else if [Code::Unavailable, Code::Unknown].contains(&code) {
        " (is gobgpd running, and its --api-hosts this address?)"
    } else {
        ""
    }
}

/// GoBGP, by its API.
#[derive(Debug)]
pub(super) struct Gobgp {
    config: Config,
    channel: Channel,
}

impl Gobgp {
    /// Connects when it is first asked, on the runtime that is entered, and again when the connection is lost.
    pub(super) fn new(config: Config) -> Result<Self, Error> {
        let address = config.address;
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.map_err(|source| Error::Address { address, source })?;
        let channel = endpoint.connect_timeout(PATIENCE).connect_lazy();
        Ok(Self { config, channel })
    }

    /// The paths to `prefixes` that were given to GoBGP on this host, not learned from a neighbour.
    async fn paths(&self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Path>, Error> {
        let mut found = BTreeMap::new();
        for family in [Family::FOUR, Family::SIX] {
            let exact = prefixes.iter().filter(|prefix| Family::of(prefix) == family).map(TableLookupPrefix::exact);
            let exact: Vec<_> = exact.collect();
            if exact.is_empty() {
                continue;
            }
            let destinations = self.call::<_, ListPathResponse>("ListPath", ListPathRequest::of(family, exact)).await?;
            for destination in destinations.into_iter().filter_map(|answer| answer.destination) {
                let Ok(prefix) = destination.prefix.parse::<IpNet>() else { continue };
                let local = |path: &Path| path.neighbor_ip.parse::<IpAddr>().is_err();
                if let Some(path) = destination.paths.into_iter().find(local) {
                    found.insert(prefix, path);
                }
            }
        }
        Ok(found)
    }

    async fn own_as(&self) -> Result<u32, Error> {
        let answers = self.call::<_, GetBgpResponse>("GetBgp", GetBgpRequest {}).await?;
        Ok(answers.into_iter().find_map(|answer| answer.global).map_or(0, |global| global.asn))
    }

    /// Calls a method, and returns all that it answers: one message, or many.
    async fn call<Q, A>(&self, call: &'static str, question: Q) -> Result<Vec<A>, Error>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let address = self.config.address;
        let answers = async {
            let mut api = Grpc::new(self.channel.clone());
            api.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            let path = PathAndQuery::from_maybe_shared(format!("/{}/{call}", api::SERVICE));
            let path = path.map_err(|error| Status::from_error(Box::new(error)))?;
            let mut stream =
                api.server_streaming(Request::new(question), path, ProstCodec::<Q, A>::default()).await?.into_inner();
            let mut answers = Vec::new();
            while let Some(answer) = stream.message().await? {
                answers.push(answer);
            }
            Ok(answers)
        };
        let answers = timeout(PATIENCE, answers).await.map_err(|_| Error::Silent { address, call })?;
        answers.map_err(|source: Status| Error::Call { address, call, source: Box::new(source) })
    }
}

impl Announcer for Gobgp {
    async fn read_back(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Action>, super::Error> {
        let own_as = self.own_as().await?;
        let paths = self.paths(prefixes).await?;
        let seen = prefixes.iter().filter_map(|prefix| {
            let Some(path) = paths.get(prefix) else { return Some((*prefix, Action::Withdraw)) };
            let found = Attributes::read(&path.pattrs_binary)?.announcement(own_as)?;
            Some((*prefix, self.config.plain.action_of(&found)?))
        });
        Ok(seen.collect())
    }

    async fn announce(&mut self, prefix: IpNet, action: Action) -> Result<(), super::Error> {
        let own_as = self.own_as().await?;
        let mut paths = self.paths(&BTreeSet::from([prefix])).await?;
        let path = paths.remove(&prefix).ok_or(announcement::Error::Absent { prefix })?;
        let attributes = Attributes::read(&path.pattrs_binary);
        let unreadable = || announcement::Error::Path { prefix, path: format!("{:?}", path.pattrs_binary) };
        let attributes = attributes.ok_or_else(unreadable)?;
        let foreign = || announcement::Error::Path { prefix, path: attributes.path_as_said() };
        let found = attributes.announcement(own_as).ok_or_else(foreign)?;
        let made = self.config.plain.with(action, prefix, &found)?;
        if made == found {
            return Ok(());
        }
        let path = Path {
            family: Some(Family::of(&prefix)),
            identifier: path.identifier,
            nlri_binary: path.nlri_binary,
            pattrs_binary: attributes.with(own_as, &made),
            ..Path::default()
        };
        self.call::<_, AddPathResponse>("AddPath", AddPathRequest::of(path)).await?;
        Ok(())
    }

    async fn changed(&mut self) {
        core::future::pending().await
    }
}
