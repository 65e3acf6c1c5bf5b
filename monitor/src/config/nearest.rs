//! Which known word was probably meant.

/// `; did you mean ...?` for the known word nearest to `word`, or nothing if none is near.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = word.chars().count().div_ceil(3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= near)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!("; did you mean `{candidate}`?"))
}

/// The known words as a sentence has them: `a`, `b` or `c`.
pub(super) fn listed<'a>(known: impl IntoIterator<Item = &'a str>) -> String {
    let mut words: Vec<String> = known.into_iter().map(|word| format!("`{word}`")).collect();
    match (words.pop(), words.is_empty()) {
        (None, _) => String::from("none"),
        (Some(only), true) => only,
        (Some(last), false) => format!("{} or {last}", words.join(", ")),
    }
}

/// How many characters must be put in, taken out or changed to make `b` of `a` (Levenshtein), for words of 64 at most.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, &to) in b.iter().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(suggestion("risign", ["rising", "falling"]), "; did you mean `rising`?");
        assert_eq!(suggestion("intefaces", ["interfaces", "ports"]), "; did you mean `interfaces`?");
    }

    #[test]
    fn a_word_like_no_other_suggests_nothing() {
        assert_eq!(suggestion("colour", ["rising", "falling"]), "");
    }

    #[test]
    fn words_are_listed_as_in_a_sentence() {
        assert_eq!(listed(["a", "b", "c"]), "`a`, `b` or `c`");
        assert_eq!(listed(["a"]), "`a`");
    }
}
