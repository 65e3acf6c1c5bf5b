//! One NOTIFY message and what an answer to it says.

use super::key::Key;
use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::AdditionalBuilder;
use domain::base::{Message, MessageBuilder, Name};
use domain::rdata::tsig::Time48;
use domain::tsig::{self, ClientTransaction, ValidationError};
use std::sync::Arc;

/// A message that was or will be sent.
#[derive(Debug)]
pub(super) struct Question {
    bytes: Vec<u8>,
    id: u16,
    name: Name<Vec<u8>>,
    transaction: Option<ClientTransaction<Arc<tsig::Key>>>,
}

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Accepted,
    /// Why.
    Refused(String),
}

impl Question {
    /// A NOTIFY of the zone, signed now; `None` if `zone` is not a name.
    pub(super) fn new(zone: &str, key: Option<&Key>) -> Option<Self> {
        let name = Name::from_octets(crate::name::parse(zone).ok()?).ok()?;
        let id = u16::from_ne_bytes(random()?);
        let mut message = MessageBuilder::new_vec();
        let header = message.header_mut();
        header.set_id(id);
        header.set_opcode(Opcode::NOTIFY);
        header.set_aa(true);
        let mut message = message.question();
        message.push((&name, Rtype::SOA, Class::IN)).ok()?;
        let mut message: AdditionalBuilder<Vec<u8>> = message.additional();
        let sign = |key: &Key| ClientTransaction::request(Arc::clone(&key.0), &mut message, Time48::now());
        let transaction = key.map(sign).transpose().ok()?;
        Some(Self { bytes: message.finish(), id, name, transaction })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What `answer` says; `None` if it is no answer to this.
    pub(super) fn judge(&self, answer: &[u8]) -> Option<Verdict> {
        let mut answer = Message::from_octets(answer.to_vec()).ok()?;
        let header = answer.header();
        if header.id() != self.id || !header.qr() || header.opcode() != Opcode::NOTIFY {
            return None;
        }
        // RFC 1996 section 3.12: the question may be left out of an error.
        if answer.first_question().is_some_and(|question| *question.qname() != self.name) {
            return None;
        }
        let rcode = header.rcode();
        if let Some(transaction) = &self.transaction
            && let Err(error) = transaction.answer(&mut answer, Time48::now())
        {
            let key = transaction.key();
            return Some(Verdict::Refused(unsigned(error, rcode, key)));
        }
        Some(if rcode == Rcode::NOERROR { Verdict::Accepted } else { Verdict::Refused(format!("answers {rcode}")) })
    }
}

/// What is wrong with the signature of an answer, for whoever has to mend it.
fn unsigned(error: ValidationError, rcode: Rcode, key: &tsig::Key) -> String {
    let name = key.name();
    match error {
        ValidationError::ServerBadKey => format!("it knows no key {name} with {} (BADKEY)", key.algorithm()),
        ValidationError::ServerBadSig => format!("its key {name} has another secret (BADSIG)"),
        ValidationError::ServerBadTime { client, server } => {
            format!("its clock differs: {server} there, {client} here (BADTIME)")
        }
        ValidationError::ServerUnsigned => format!("answers {rcode}, and without a signature"),
        ValidationError::BadAlg
        | ValidationError::BadOther
        | ValidationError::BadSig
        | ValidationError::BadTrunc
        | ValidationError::BadKey
        | ValidationError::BadTime
        | ValidationError::FormErr
        | ValidationError::TooManyUnsigned => format!("answers {rcode}, and its signature is wrong: {error}"),
    }
}

fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::base::ToName;
    use proptest::prelude::*;

    const KEY: &str = "hmac-sha256:oopsd:c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0ISEhIQ==";

    #[test]
    fn an_answer_counts_when_its_id_its_zone_and_its_signature_are_right() {
        let key = Key::parse(KEY).unwrap();
        let question = Question::new("nl.", Some(&key)).unwrap();
        assert_eq!(question.judge(&answered(&question, Some(&key), Rcode::NOERROR)), Some(Verdict::Accepted));
        let refused = Verdict::Refused(String::from("answers REFUSED"));
        assert_eq!(question.judge(&answered(&question, Some(&key), Rcode::REFUSED)), Some(refused));
        let unsigned = Verdict::Refused(String::from("answers NOERROR, and without a signature"));
        assert_eq!(question.judge(&answered(&question, None, Rcode::NOERROR)), Some(unsigned));
        let mut damaged = answered(&question, Some(&key), Rcode::NOERROR);
        let at = damaged.len() - 20;
        damaged[at] ^= 1;
        assert!(matches!(question.judge(&damaged), Some(Verdict::Refused(_))));
        assert_eq!(
            Question::new("nl.", Some(&key))
                .unwrap()
                .judge(&answered(&question, Some(&key), Rcode::NOERROR))
                .filter(|verdict| *verdict == Verdict::Accepted),
            None,
            "another's"
        );
        assert_eq!(question.judge(question.bytes()), None, "a question is no answer");
    }

    #[test]
    fn without_a_key_the_id_and_the_zone_count() {
        let question = Question::new("nl.", None).unwrap();
        assert_eq!(question.judge(&answered(&question, None, Rcode::NOERROR)), Some(Verdict::Accepted));
        let of_another = Question { name: Name::from_octets(b"\x02be\0".to_vec()).unwrap(), ..question };
        assert_eq!(of_another.judge(&answered(&of_another, None, Rcode::NOERROR)), None);
    }

    proptest! {
        #[test]
        fn noise_is_no_yes(noise in any::<Vec<u8>>()) {
            let key = Key::parse(KEY).unwrap();
            let question = Question::new("nl.", Some(&key)).unwrap();
            prop_assert_ne!(question.judge(&noise), Some(Verdict::Accepted));
        }
    }

    proptest! {
        #[test]
        fn whatever_a_zone_is_called_the_message_is_a_notify_of_it_or_none_is_sent(
            zone in crate::channel::escaping::hostile(),
        ) {
            let Some(question) = Question::new(&zone, None) else { return Ok(()) };
            let message = Message::from_octets(question.bytes()).unwrap();
            prop_assert!(message.header().opcode() == Opcode::NOTIFY && message.header_counts().qdcount() == 1);
            let asked = message.sole_question().unwrap();
            let wire: Vec<u8> = asked.qname().to_vec().as_slice().to_vec();
            prop_assert_eq!(wire, crate::name::parse(&zone).unwrap());
        }
    }

    /// What a server would answer, signed if it has the key.
    fn answered(question: &Question, key: Option<&Key>, rcode: Rcode) -> Vec<u8> {
        let mut request = Message::from_octets(question.bytes.clone()).unwrap();
        let transaction =
            key.map(|key| tsig::ServerTransaction::request(&*key.0, &mut request, Time48::now()).unwrap().unwrap());
        let mut answer = MessageBuilder::new_vec().start_answer(&request, rcode).unwrap().additional();
        if let Some(transaction) = transaction {
            transaction.answer(&mut answer, Time48::now()).unwrap();
        }
        answer.finish()
    }
}
