//! BGP messages as they are on the wire (RFC 4271, 4760, 6793, 1997): read into values. What is said to a peer is in `say`.

use anyhow::{Context, Result, bail, ensure};
use ipnet::IpNet;
use std::net::IpAddr;

/// As long as a message may be, and as short.
pub const LENGTHS: core::ops::RangeInclusive<usize> = 19..=4096;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who the peer is.
    Open(Open),
    /// Routes that came and went.
    Update(Update),
    /// The peer ends the session: code and subcode (RFC 4271, section 4.5).
    Notification(u8, u8),
    /// The peer is there.
    Keepalive,
    /// The peer wants everything once more (RFC 2918).
    Refresh,
}

/// Who a peer is and what it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Its AS number; that of the capability if it has it.
    pub asn: u32,
    /// After so many seconds of silence it is gone; 0 is never.
    pub hold: u16,
    /// AS numbers have four bytes.
    pub wide: bool,
    /// Address families: 1 is IPv4, 2 is IPv6; unicast only.
    pub families: Vec<u16>,
}

/// Routes that came and went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// No longer announced.
    pub withdrawn: Vec<IpNet>,
    /// Announced from now on with these attributes.
    pub announced: Vec<IpNet>,
    /// Of all that are announced.
    pub attributes: Attributes,
    /// The peer has said all that it had to say at first (RFC 4724).
    pub end_of_rib: bool,
}

/// How a route is announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The AS path, sets and sequences alike, the neighbour first.
    pub path: Vec<u32>,
    /// Where to send packets; the first address if there are two.
    pub next_hop: Option<IpAddr>,
    /// The multi-exit discriminator.
    pub med: Option<u32>,
    /// Communities, sorted.
    pub communities: Vec<(u16, u16)>,
}

impl Message {
    /// Reads a message from its type and what follows its header. AS numbers in paths have four bytes if `wide`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(kind: u8, body: &[u8], wide: bool) -> Result<Self> {
        let mut body = Bytes(body);
        Ok(match kind {
            1 => Self::Open(open(&mut body)?),
            2 => Self::Update(update(&mut body, wide)?),
            3 => Self::Notification(body.u8()?, body.u8()?),
            4 => Self::Keepalive,
            5 => Self::Refresh,
            _ => bail!("a message of type {kind}"),
        })
    }
}

fn open(body: &mut Bytes<'_>) -> Result<Open> {
    ensure!(body.u8()? == 4, "not BGP-4");
    let mut open = Open { asn: body.u16()?.into(), hold: body.u16()?, ..Open::default() };
    let _id = body.u32()?;
    let length = body.u8()?;
    let mut parameters = body.take(length.into())?;
    while !parameters.0.is_empty() {
        let (kind, length) = (parameters.u8()?, parameters.u8()?);
        let mut capabilities = parameters.take(length.into())?;
        ensure!(kind == 2, "an optional parameter of type {kind}");
        while !capabilities.0.is_empty() {
            let (code, length) = (capabilities.u8()?, capabilities.u8()?);
            let mut value = capabilities.take(length.into())?;
            match code {
                1 => {
                    let (family, _reserved, subsequent) = (value.u16()?, value.u8()?, value.u8()?);
                    open.families.extend((subsequent == 1).then_some(family));
                }
                65 => (open.wide, open.asn) = (true, value.u32()?),
                _ => {}
            }
        }
    }
    Ok(open)
}

fn update(body: &mut Bytes<'_>, wide: bool) -> Result<Update> {
    let length = body.u16()?;
    let mut update = Update { withdrawn: body.take(length.into())?.prefixes(1)?, ..Update::default() };
    let length = body.u16()?;
    let mut attributes = body.take(length.into())?;
    update.end_of_rib = body.0.is_empty() && attributes.0.is_empty() && update.withdrawn.is_empty();
    while !attributes.0.is_empty() {
        let (flags, kind) = (attributes.u8()?, attributes.u8()?);
        let length = if flags & 0x10 == 0 { attributes.u8()?.into() } else { attributes.u16()? };
        let value = attributes.take(length.into())?;
        let last = attributes.0.is_empty() && body.0.is_empty();
        attribute(&mut update, kind, value, wide, last).with_context(|| format!("attribute {kind}"))?;
    }
    update.announced.extend(body.prefixes(1)?);
    Ok(update)
}

fn attribute(update: &mut Update, kind: u8, mut value: Bytes<'_>, wide: bool, last: bool) -> Result<()> {
    let Update { attributes, announced, withdrawn, .. } = update;
    match kind {
        2 => {
            while !value.0.is_empty() {
                let (_set_or_sequence, count) = (value.u8()?, value.u8()?);
                for _ in 0..count {
                    attributes.path.push(if wide { value.u32()? } else { value.u16()?.into() });
                }
            }
        }
        3 => attributes.next_hop = Some(value.address()?),
        4 => attributes.med = Some(value.u32()?),
        8 => {
            while !value.0.is_empty() {
                attributes.communities.push((value.u16()?, value.u16()?));
            }
            attributes.communities.sort_unstable();
        }
        14 => {
            let (family, subsequent, length) = (value.u16()?, value.u8()?, value.u8()?);
            ensure!(subsequent == 1, "not unicast");
            let mut next_hop = value.take(length.into())?;
            // An IPv6 next hop may have a link-local one behind it.
            next_hop.0 = next_hop.0.get(..16).unwrap_or(next_hop.0);
            attributes.next_hop = Some(next_hop.address()?);
            let _reserved = value.u8()?;
            announced.extend(value.prefixes(family)?);
        }
        15 => {
            let (family, subsequent) = (value.u16()?, value.u8()?);
            ensure!(subsequent == 1, "not unicast");
            update.end_of_rib |= last && withdrawn.is_empty() && value.0.is_empty();
            withdrawn.extend(value.prefixes(family)?);
        }
        // The origin, local preference and what else there is: nothing that a test asks for.
        _ => {}
    }
    Ok(())
}

/// What is yet to be read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<Self> {
        let (taken, rest) = self.0.split_at_checked(count).context("it ends too early")?;
        self.0 = rest;
        Ok(Self(taken))
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.0.try_into()?)
    }

    fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// All of it, which is one address.
    fn address(&mut self) -> Result<IpAddr> {
        Ok(if self.0.len() == 4 { IpAddr::from(self.array::<4>()?) } else { IpAddr::from(self.array::<16>()?) })
    }

    /// All of it, which is prefixes of a family: a length in bits, and as many bytes as that needs.
    fn prefixes(&mut self, family: u16) -> Result<Vec<IpNet>> {
        let mut prefixes = Vec::new();
        while !self.0.is_empty() {
            let bits = self.u8()?;
            let written = self.take(usize::from(bits).div_ceil(8))?.0;
            let mut address = [0; 16];
            address.get_mut(..written.len()).context("a prefix too long")?.copy_from_slice(written);
            let address = match family {
                1 => IpAddr::from(<[u8; 4]>::try_from(&address[..4])?),
                2 => IpAddr::from(address),
                _ => bail!("a prefix of family {family}"),
            };
            prefixes.push(IpNet::new(address, bits)?);
        }
        Ok(prefixes)
    }
}
