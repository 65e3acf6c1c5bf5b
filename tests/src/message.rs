//! DNS messages by hand, independent of the parser under test.

/// A query for the A record of `qname`, which has a trailing dot.
#[must_use]
pub fn query(qname: &str) -> Vec<u8> {
    let mut message = vec![0x53, 0x53, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in qname.split_terminator('.') {
        message.push(u8::try_from(label.len()).unwrap_or(63));
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    message
}

/// A response to `query` with this RCODE and, if there is one, this extended error (RFC 8914).
#[must_use]
pub fn response(query: &[u8], rcode: u8, info_code: Option<u16>) -> Vec<u8> {
    let mut message = query.to_vec();
    if let Some([flags, rest]) = message.get_mut(2..4) {
        *flags |= 0x84;
        *rest = rcode;
    }
    if let Some(info_code) = info_code {
        if let Some(additional) = message.get_mut(11) {
            *additional = 1;
        }
        message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 6, 0, 15, 0, 2]);
        message.extend_from_slice(&info_code.to_be_bytes());
    }
    message
}
