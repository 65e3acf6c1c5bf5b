//! Names and prefixes by slot, in little memory.

/// The printed form of what each slot counts: slot 0 is `other`, zones from 1 on, then prefixes.
///
/// One string and one offset a name, so that a million zones cost their letters and four bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    text: String,
    ends: Vec<u32>,
    zones: u32,
}

impl Default for Names {
    fn default() -> Self {
        Self::new(core::iter::empty::<&str>(), core::iter::empty::<&str>())
    }
}

impl Names {
    /// Names for `zones` (lowercase, with the trailing dot) and `prefixes`, in slot order.
    #[must_use]
    pub fn new(
        zones: impl IntoIterator<Item = impl AsRef<str>>,
        prefixes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let mut names = Self { text: String::from("other"), ends: vec![5], zones: 0 };
        for zone in zones {
            names.push(zone.as_ref());
            names.zones = names.zones.saturating_add(1);
        }
        for prefix in prefixes {
            names.push(prefix.as_ref());
        }
        names.text.shrink_to_fit();
        names.ends.shrink_to_fit();
        names
    }

    fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    /// The name of a slot; `other` for slots that have none.
    #[must_use]
    pub fn get(&self, slot: u32) -> &str {
        let index = slot as usize;
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let Some(&end) = self.ends.get(index) else { return "other" };
        self.text.get(start as usize..end as usize).unwrap_or("other")
    }

    /// How many slots there are: 1 + zones + prefixes.
    #[must_use]
    pub fn slots(&self) -> u32 {
        u32::try_from(self.ends.len()).unwrap_or(u32::MAX)
    }

    /// How many zones there are; they have slots 1 to this.
    #[must_use]
    pub const fn zones(&self) -> u32 {
        self.zones
    }

    /// Whether a slot is a service prefix.
    #[must_use]
    pub fn is_prefix(&self, slot: u32) -> bool {
        slot > self.zones && slot < self.slots()
    }

    /// Whether every slot of `older` means the same here; there may be more zones after them.
    #[must_use]
    pub fn continues(&self, older: &Self) -> bool {
        let same = self.text.starts_with(&older.text) && self.ends.starts_with(&older.ends);
        // Without prefixes, the slots after the old ones are new zones; with them, nothing can be put between.
        let zones_only = older.slots() == older.zones.saturating_add(1);
        same && (self.zones == older.zones || (zones_only && self.zones > older.zones))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_have_the_names_they_were_given() {
        let names = Names::new(["nl.", "example.org."], ["192.0.2.0/24"]);
        let all: Vec<&str> = (0..5).map(|slot| names.get(slot)).collect();
        assert_eq!(all, ["other", "nl.", "example.org.", "192.0.2.0/24", "other"]);
        assert_eq!((names.slots(), names.zones()), (4, 2));
        assert!(names.is_prefix(3) && !names.is_prefix(2) && !names.is_prefix(4));
    }

    #[test]
    fn names_that_only_grow_at_the_end_go_on() {
        let some = |zones: &[&str], prefixes: &[&str]| Names::new(zones, prefixes);
        assert!(some(&["a.", "b."], &[]).continues(&some(&["a."], &[])));
        assert!(some(&["a."], &["10.0.0.0/8"]).continues(&some(&["a."], &["10.0.0.0/8"])));
        assert!(!some(&["a.", "b."], &["10.0.0.0/8"]).continues(&some(&["a."], &["10.0.0.0/8"])));
        assert!(!some(&["b.", "a."], &[]).continues(&some(&["a."], &[])));
        assert!(!some(&["a."], &[]).continues(&some(&["a.", "b."], &[])));
    }
}
