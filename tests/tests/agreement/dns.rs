//! DNS messages as a strategy chooses them and as bytes. What carries them is in `stack`.

use proptest::collection::vec;
use proptest::prelude::*;
use wire::count::OTHER_CODES;

/// A message with one question.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    id: u16,
    pub(crate) response: bool,
    pub(crate) opcode: u8,
    flags: u8,
    pub(crate) truncated: bool,
    rcode: u8,
    pub(crate) labels: Vec<Vec<u8>>,
    question: (u16, u16),
    answers: Vec<Record>,
    authorities: Vec<Record>,
    before_opt: Vec<Record>,
    opt: Option<Opt>,
    after_opt: Vec<Record>,
}

#[derive(Clone, Debug)]
struct Record {
    owner: Owner,
    /// A type with what such a record holds.
    content: (u16, Vec<u8>),
}

#[derive(Clone, Debug)]
enum Owner {
    /// A pointer to the question's name.
    Question,
    /// Labels, then that pointer.
    Below(Vec<Vec<u8>>),
    /// A name of its own.
    Full(Vec<Vec<u8>>),
}

#[derive(Clone, Debug)]
struct Opt {
    rcode: u8,
    options: Vec<Choice>,
}

#[derive(Clone, Debug)]
enum Choice {
    ExtendedError(u16, String),
    Other(u16, Vec<u8>),
}

/// Any message with opcode QUERY.
pub(crate) fn query_or_response() -> impl Strategy<Value = Dns> {
    let header = (any::<u16>(), any::<bool>(), any::<u8>(), any::<bool>(), 0_u8..16);
    let question = (name(), any::<u16>(), prop::sample::select(vec![1_u16, 1, 1, 3, 255]));
    let records = (vec(record(), 0..4), vec(record(), 0..3), vec(record(), 0..3), vec(record(), 0..2));
    (header, question, records, prop::option::weighted(0.8, opt())).prop_map(
        |((id, response, flags, truncated, rcode), (labels, qtype, class), records, opt)| {
            let (mut answers, mut authorities, mut before_opt, mut after_opt) = records;
            // A name is at most 255 bytes with its pointer followed too.
            if labels.iter().map(|label| label.len() + 1).sum::<usize>() > 220 {
                for section in [&mut answers, &mut authorities, &mut before_opt, &mut after_opt] {
                    section.retain(|record| !matches!(record.owner, Owner::Below(_)));
                }
            }
            let question = (qtype, class);
            let opcode = 0;
            #[rustfmt::skip]
            let dns = Dns { id, response, opcode, flags, truncated, rcode, labels, question, answers, authorities, before_opt, opt, after_opt };
            dns
        },
    )
}

/// Any message, mostly with opcode QUERY.
pub(crate) fn message() -> impl Strategy<Value = Dns> {
    let opcode = prop_oneof![9 => Just(0_u8), 1 => 1_u8..16];
    (query_or_response(), opcode).prop_map(|(dns, opcode)| Dns { opcode, ..dns })
}

/// Names short and long, up to 255 bytes or 127 labels, of any bytes.
pub(crate) fn name() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let letters = prop::sample::select(b"abcABCxyzXYZ019-_".to_vec());
    let usual = vec(letters, 1..12);
    let long = vec(any::<u8>(), 1..=63);
    let tiny = vec(any::<u8>(), 1);
    prop_oneof![6 => vec(usual, 0..6), 2 => vec(long, 0..8), 1 => vec(tiny, 0..=127)].prop_map(|mut labels| {
        let mut left = 254;
        labels.retain(|label: &Vec<u8>| match usize::checked_sub(left, label.len() + 1) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        });
        labels
    })
}

fn record() -> impl Strategy<Value = Record> {
    let short = || vec(vec(any::<u8>(), 1..10), 0..3);
    let owner = prop_oneof![3 => Just(Owner::Question), 1 => short().prop_map(Owner::Below), 1 => short().prop_map(Owner::Full)];
    let content = prop_oneof![
        vec(any::<u8>(), 4).prop_map(|data| (1, data)),
        vec(any::<u8>(), 16).prop_map(|data| (28, data)),
        // Not empty, which hickory does not accept.
        vec(any::<u8>(), 1..200).prop_map(|data| (65_300, data)),
    ];
    (owner, content).prop_map(|(owner, content)| Record { owner, content })
}

fn opt() -> impl Strategy<Value = Opt> {
    let code = prop_oneof![4 => 0_u16..32, 1 => 60_u16..66, 1 => any::<u16>()];
    let error = (code, ".{0,20}").prop_map(|(code, text)| Choice::ExtendedError(code, text));
    let other = (prop::sample::select(vec![3_u16, 12, 65_001]), vec(any::<u8>(), 0..30))
        .prop_map(|(code, bytes)| Choice::Other(code, bytes));
    (prop_oneof![4 => Just(0_u8), 1 => any::<u8>()], vec(prop_oneof![2 => error, 1 => other], 0..5))
        .prop_map(|(rcode, options)| Opt { rcode, options })
}

impl Dns {
    /// The same as a response, or as a query.
    pub(crate) fn turned(self, response: bool) -> Self {
        Self { response, ..self }
    }

    /// The QNAME in wire format, lower case.
    pub(crate) fn qname(&self) -> Vec<u8> {
        let mut name = Vec::new();
        write_name(&mut name, &self.labels, &[0]);
        name.to_ascii_lowercase()
    }

    /// The RCODE: of a response with its upper bits.
    pub(crate) fn rcode(&self) -> u16 {
        let above = self.opt.as_ref().filter(|_| self.response).map_or(0, |opt| opt.rcode);
        u16::from(above) << 4 | u16::from(self.rcode)
    }

    /// The info-codes of a response, as `wire` has them.
    pub(crate) fn extended_errors(&self) -> u64 {
        let options = self.opt.iter().filter(|_| self.response).flat_map(|opt| &opt.options);
        options.fold(0, |codes, option| match option {
            Choice::ExtendedError(code, _) => codes | 1 << usize::from(*code).min(OTHER_CODES),
            Choice::Other(..) => codes,
        })
    }

    /// The message as bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.id.to_be_bytes().to_vec();
        // AA and RD; RA, AD and CD: any. Z is 0 (RFC 1035 section 4.1.1).
        bytes.push(u8::from(self.response) << 7 | self.opcode << 3 | self.flags & 5 | u8::from(self.truncated) << 1);
        bytes.push(self.flags & 0xB0 | self.rcode);
        let additional = self.before_opt.len() + usize::from(self.opt.is_some()) + self.after_opt.len();
        for count in [1, self.answers.len(), self.authorities.len(), additional] {
            bytes.extend(u16::try_from(count).unwrap().to_be_bytes());
        }
        write_name(&mut bytes, &self.labels, &[0]);
        bytes.extend(self.question.0.to_be_bytes());
        bytes.extend(self.question.1.to_be_bytes());
        for record in self.answers.iter().chain(&self.authorities).chain(&self.before_opt) {
            record.write(&mut bytes);
        }
        if let Some(opt) = &self.opt {
            opt.write(&mut bytes);
        }
        for record in &self.after_opt {
            record.write(&mut bytes);
        }
        bytes
    }
}

impl Record {
    fn write(&self, bytes: &mut Vec<u8>) {
        const QUESTION: [u8; 2] = [0xC0, 12];
        match &self.owner {
            Owner::Question => bytes.extend(QUESTION),
            Owner::Below(labels) => write_name(bytes, labels, &QUESTION),
            Owner::Full(labels) => write_name(bytes, labels, &[0]),
        }
        let (number, data) = &self.content;
        bytes.extend(number.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 14, 16]);
        write_sized(bytes, data);
    }
}

impl Opt {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend([0, 0, 41, 4, 0xD0, self.rcode, 0, 0x80, 0]);
        let mut options = Vec::new();
        for option in &self.options {
            let (code, content) = match option {
                Choice::ExtendedError(code, text) => (15, [&code.to_be_bytes(), text.as_bytes()].concat()),
                Choice::Other(code, content) => (*code, content.clone()),
            };
            options.extend(code.to_be_bytes());
            write_sized(&mut options, &content);
        }
        write_sized(bytes, &options);
    }
}

fn write_name(bytes: &mut Vec<u8>, labels: &[Vec<u8>], end: &[u8]) {
    for label in labels {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend(label);
    }
    bytes.extend(end);
}

fn write_sized(bytes: &mut Vec<u8>, content: &[u8]) {
    bytes.extend(u16::try_from(content.len()).unwrap().to_be_bytes());
    bytes.extend(content);
}
