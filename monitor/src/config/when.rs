//! `when` of a `[[route]]`: the name of a condition, or several joined by `and`, `or`, `not` and parentheses.

use super::document::{At, Document, Value};
use super::word;
use engine::When;
use engine::judge::BLIND;
use std::ops::Range;

/// Words that join conditions, and so name none.
pub(super) const WORDS: [&str; 3] = ["and", "or", "not"];

/// As many names, and as many parentheses and `not` inside each other, as one `when` may have.
const MOST: usize = 64;

const RIGHT: &str = "the name of a [[condition]], or several, such as \"overload and not maintenance\"";

/// Reads a string, `{ any = [...] }` or `{ all = [...] }`.
pub(super) fn read<'i>(document: &mut Document<'i>, value: Value<'i>, conditions: &[String]) -> Option<When> {
    let at = value.at.clone();
    let mut names = Vec::new();
    let when = if value.is_table() { list(document, value, &mut names) } else { text(document, value, &mut names) };
    if names.len() > MOST {
        document.error(&at, format!("`when`: {} names; {MOST} at most", names.len()));
        return None;
    }
    for name in &names {
        if name.it == BLIND {
            document.error(&name.at, "`when`: blindness changes no route; write the name of a [[condition]]");
        } else {
            word::known(document, "condition", name, conditions.iter().map(String::as_str));
        }
    }
    when
}

/// Several, of which any or all are to be met.
fn list<'i>(document: &mut Document<'i>, value: Value<'i>, names: &mut Vec<At<String>>) -> Option<When> {
    const LISTED: &str = "a list of names, such as [\"overload\", \"surge\"]";
    let at = value.at.clone();
    let mut table = value.table(document, "`when`")?;
    let [any, all] = ["any", "all"].map(|key| table.take(key));
    table.close(document);
    let (join, listed): (fn(Vec<When>) -> When, _) = match (any, all) {
        (Some(any), None) => (When::Any, any),
        (None, Some(all)) => (When::All, all),
        (Some(_), Some(_)) | (None, None) => {
            document.error(&at, format!("`when` is one of {{ any = [...] }} and {{ all = [...] }}, or {RIGHT}"));
            return None;
        }
    };
    let listed = listed.list(document, LISTED);
    if listed.is_empty() {
        document.error(&at, format!("`when` names nothing; write {LISTED}"));
        return None;
    }
    let count = listed.len();
    let mut parts: Vec<When> = listed.into_iter().filter_map(|value| text(document, value, names)).collect();
    (parts.len() == count).then(|| if count == 1 { parts.remove(0) } else { join(parts) })
}

fn text<'i>(document: &mut Document<'i>, value: Value<'i>, names: &mut Vec<At<String>>) -> Option<When> {
    let text = value.text(document, RIGHT)?;
    let mut reader = Reader { text: &text.it, words: words(&text.it), next: 0, depth: 0, names: Vec::new() };
    let read = reader.any().and_then(|when| match reader.peek() {
        None => Ok(when),
        Some((at, word)) => Err((at, format!("`{word}` is one too many; write `and` or `or` between names"))),
    });
    let place = |within: Range<usize>| document.inside(&text, within);
    names.extend(reader.names.iter().map(|(at, name)| At { it: name.clone(), at: place(at.clone()) }));
    match read {
        Ok(when) => Some(when),
        Err((within, what)) => {
            let at = place(within);
            document.error(&at, format!("`when`: {what}"));
            None
        }
    }
}

/// What is wrong, and where in the text.
type Wrong = (Range<usize>, String);

/// Goes through the words once: `or` binds least, then `and`, then `not`.
struct Reader<'t> {
    text: &'t str,
    words: Vec<(Range<usize>, &'t str)>,
    next: usize,
    depth: usize,
    names: Vec<(Range<usize>, String)>,
}

impl<'t> Reader<'t> {
    fn any(&mut self) -> Result<When, Wrong> {
        self.joined("or", Self::all, When::Any)
    }

    fn all(&mut self) -> Result<When, Wrong> {
        self.joined("and", Self::one, When::All)
    }

    fn joined(
        &mut self,
        by: &str,
        part: fn(&mut Self) -> Result<When, Wrong>,
        join: fn(Vec<When>) -> When,
    ) -> Result<When, Wrong> {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.peek().is_some_and(|(_, word)| word == by) {
            self.next += 1;
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { join(parts) })
    }

    fn one(&mut self) -> Result<When, Wrong> {
        let Some((at, word)) = self.peek() else {
            return Err((self.text.len()..self.text.len(), format!("it ends where a name is missing; write {RIGHT}")));
        };
        self.next += 1;
        match word {
            "not" => Ok(When::Not(Box::new(self.within(&at, Self::one)?))),
            "(" => {
                let inner = self.within(&at, Self::any)?;
                match self.peek() {
                    Some((_, ")")) => self.next += 1,
                    Some(_) | None => return Err((at, String::from("this parenthesis is not closed; write `)`"))),
                }
                Ok(inner)
            }
            "and" | "or" | ")" => Err((at, format!("`{word}` stands where a name is missing; write {RIGHT}"))),
            name if name.bytes().all(is_of_a_name) => {
                self.names.push((at, name.to_owned()));
                Ok(When::Met(name.to_owned()))
            }
            other => Err((at, format!("`{other}` is no name and none of `and`, `or`, `not`, `(`, `)`; write {RIGHT}"))),
        }
    }

    fn within(&mut self, at: &Range<usize>, part: fn(&mut Self) -> Result<When, Wrong>) -> Result<When, Wrong> {
        self.depth += 1;
        if self.depth > MOST {
            return Err((at.clone(), format!("more than {MOST} parentheses and `not` inside each other; write fewer")));
        }
        let inner = part(self);
        self.depth -= 1;
        inner
    }

    fn peek(&self) -> Option<(Range<usize>, &'t str)> {
        self.words.get(self.next).cloned()
    }
}

const fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Names, parentheses, and runs of whatever else there is.
fn words(text: &str) -> Vec<(Range<usize>, &str)> {
    let mut words = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut end = start + first.len_utf8();
        while !['(', ')'].contains(&first)
            && let Some((at, next)) = rest.next_if(|(_, next)| !next.is_whitespace() && !['(', ')'].contains(next))
        {
            end = at + next.len_utf8();
        }
        words.push((start..end, &text[start..end]));
    }
    words
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Purpose};
    use proptest::prelude::*;
    use std::path::Path;

    #[test]
    fn or_binds_least_and_not_binds_most() {
        for (written, meant) in [
            ("'a'", "a"),
            ("'a and b and c'", "a and b and c"),
            ("'a or b and not c'", "a or (b and not c)"),
            ("'not(a or b)and c'", "not (a or b) and c"),
            ("'not not ((a))'", "not not a"),
            ("{ any = ['a', 'b and c'] }", "a or (b and c)"),
            ("{ all = ['a', 'not b'] }", "a and not b"),
            ("{ all = ['a'] }", "a"),
        ] {
            assert_eq!(read(written).as_deref(), Ok(meant), "{written}");
        }
    }

    #[test]
    fn what_is_wrong_has_its_place_in_the_string() {
        for (written, wrong) in [
            ("'a and'", "1:25"),
            ("'a b'", "1:22"),
            ("'a and (b'", "1:26"),
            ("'a & b'", "1:22"),
            ("'a and laod'", "1:26"),
            ("\"\"\"\na and\n  or b\"\"\"", "3:3"),
            (r#""a \u0061nd laod""#, "1:19"),
            ("''", "1:19"),
        ] {
            let error = read(written).unwrap_err();
            assert!(error.starts_with(&format!("f.toml:{wrong}: ")), "{written}: {error}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let names = |count| format!("'{}'", vec!["a"; count].join(" or "));
        assert!(read(&names(64)).is_ok() && read(&names(65)).unwrap_err().contains("64 at most"));
        assert!(read(&format!("'{}a'", "not ".repeat(65))).unwrap_err().contains("inside each other"));
        assert!(read(&format!("'{}'", "(".repeat(100_000))).unwrap_err().contains("inside each other"));
    }

    proptest! {
        #[test]
        fn what_was_read_is_read_again_the_same(noise in "((a|b|c|and|or|not|\\(|\\)) ?){0,12}") {
            if let Ok(printed) = read(&format!("'{noise}'")) {
                prop_assert_eq!(read(&format!("'{printed}'")), Ok(printed));
            }
        }
    }

    /// How it prints, or the errors of a file in which it begins at column 19.
    fn read(when: &str) -> Result<String, String> {
        let conditions =
            ["a", "b", "c"].map(|name| format!("[[condition]]\nname='{name}'\nkind='query-rate'\nrising=1\n"));
        let rest = conditions.concat() + "[[router]]\nname = 'r'\ntype = 'kernel-table'\ntable = 7\n";
        let keys = "prefix = '192.0.2.0/24', router = 'r', policy = 'absorb'";
        let text = format!("route = [{{ when = {when}, {keys} }}]\n{rest}");
        let config = Config::parse(Path::new("f.toml"), &text, Purpose::Run).map_err(|errors| errors.to_string())?;
        Ok(config.plan.routes[0].when.to_string())
    }
}
