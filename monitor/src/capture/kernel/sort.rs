//! Numbers put in order without comparing them: a processor cannot foresee what comes of comparing numbers that it has never
//! seen, and takes two to four times as long.

/// Sorts words by their upper halves, and leaves those with the same one as they are: by a byte at a time, from the lowest on.
pub(super) fn by_upper_half(words: &mut Vec<u64>) {
    if words.is_sorted_by_key(|word| word >> 32) {
        return;
    }
    let all = words.iter().fold(0, |all, word| all | word);
    let mut sorted = vec![0; words.len()];
    for shift in (32..64).step_by(8).take_while(|shift| all >> shift != 0) {
        let byte = |word: u64| usize::from((word >> shift).to_le_bytes()[0]);
        let mut next = [0_usize; 256];
        words.iter().for_each(|word| next[byte(*word)] += 1);
        let mut before = 0;
        for next in &mut next {
            before += std::mem::replace(next, before);
        }
        for &word in &*words {
            let place = &mut next[byte(word)];
            sorted[*place] = word;
            *place += 1;
        }
        std::mem::swap(words, &mut sorted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_a_sort_that_compares(shift in 0..64, words in prop::collection::vec(any::<u64>(), 0..500)) {
            // The less is left of them, the more have the same upper half.
            let mut words: Vec<_> = words.into_iter().map(|word| word >> shift).collect();
            let mut wanted = words.clone();
            wanted.sort_by_key(|word| word >> 32);
            by_upper_half(&mut words);
            prop_assert_eq!(words, wanted);
        }
    }
}
