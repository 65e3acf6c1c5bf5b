//! The messages of GoBGP's API, version 3, that oopsd needs: the numbers of their fields are those of the daemon.
//!
//! Declared here and not generated, so that building oopsd takes no compiler for them. What is not declared is left out by both sides.

use ipnet::IpNet;
use prost::Message;

/// What its methods belong to.
pub(super) const SERVICE: &str = "apipb.GobgpApi";

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetBgpRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetBgpResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) global: Option<Global>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Global {
    #[prost(uint32, tag = "1")]
    pub(super) asn: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListPathRequest {
    /// 0 is the global table.
    #[prost(int32, tag = "1")]
    table_type: i32,
    #[prost(message, optional, tag = "3")]
    family: Option<Family>,
    #[prost(message, repeated, tag = "4")]
    prefixes: Vec<TableLookupPrefix>,
    /// Paths come as they are on the wire.
    #[prost(bool, tag = "9")]
    enable_only_binary: bool,
}

impl ListPathRequest {
    pub(super) fn of(family: Family, prefixes: Vec<TableLookupPrefix>) -> Self {
        Self { table_type: 0, family: Some(family), prefixes, enable_only_binary: true }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListPathResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) destination: Option<Destination>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Destination {
    #[prost(string, tag = "1")]
    pub(super) prefix: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) paths: Vec<Path>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Path {
    #[prost(message, optional, tag = "9")]
    pub(super) family: Option<Family>,
    /// No address if the path was given to GoBGP on this host.
    #[prost(string, tag = "15")]
    pub(super) neighbor_ip: String,
    #[prost(uint32, tag = "18")]
    pub(super) identifier: u32,
    #[prost(bytes = "vec", tag = "20")]
    pub(super) nlri_binary: Vec<u8>,
    /// Each with its flags, type and length (RFC 4271, section 4.3).
    #[prost(bytes = "vec", repeated, tag = "21")]
    pub(super) pattrs_binary: Vec<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AddPathRequest {
    /// 0 is the global table.
    #[prost(int32, tag = "1")]
    table_type: i32,
    #[prost(message, optional, tag = "3")]
    path: Option<Path>,
}

impl AddPathRequest {
    pub(super) fn of(path: Path) -> Self {
        Self { table_type: 0, path: Some(path) }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct AddPathResponse {
    #[prost(bytes = "vec", tag = "1")]
    uuid: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Family {
    #[prost(int32, tag = "1")]
    afi: i32,
    #[prost(int32, tag = "2")]
    safi: i32,
}

impl Family {
    pub(super) const FOUR: Self = Self { afi: 1, safi: 1 };
    pub(super) const SIX: Self = Self { afi: 2, safi: 1 };

    pub(super) fn of(prefix: &IpNet) -> Self {
        match prefix {
            IpNet::V4(_) => Self::FOUR,
            IpNet::V6(_) => Self::SIX,
        }
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TableLookupPrefix {
    #[prost(string, tag = "1")]
    prefix: String,
    /// 0 is no other than this prefix.
    #[prost(int32, tag = "2")]
    kind: i32,
}

impl TableLookupPrefix {
    pub(super) fn exact(prefix: &IpNet) -> Self {
        Self { prefix: prefix.to_string(), kind: 0 }
    }
}
