//! Files that use each other, directly or by way of others.

use std::collections::BTreeMap;

use super::Arrows;

/// Groups of files of which each reaches each other along arrows.
#[must_use]
pub(crate) fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut search = Search { arrows, seen: BTreeMap::new(), open: Vec::new(), found: Vec::new() };
    for file in arrows.keys() {
        search.visit(file);
    }
    search.found.sort();
    search.found
}

/// Tarjan's search for strongly connected components.
struct Search<'a> {
    arrows: &'a Arrows,
    /// In which order a file was reached, or nothing once it belongs to a finished group.
    seen: BTreeMap<&'a str, Option<usize>>,
    open: Vec<&'a str>,
    found: Vec<Vec<String>>,
}

impl<'a> Search<'a> {
    /// The earliest open file that can be reached from here; nothing if this one's group is finished.
    fn visit(&mut self, file: &'a str) -> Option<usize> {
        if let Some(known) = self.seen.get(file) {
            return *known;
        }
        let order = self.seen.len();
        self.seen.insert(file, Some(order));
        self.open.push(file);
        let next = self.arrows.get(file).into_iter().flat_map(BTreeMap::keys);
        let lowest = next.filter_map(|next| self.visit(next)).chain([order]).min().unwrap_or(order);
        if lowest < order {
            return Some(lowest);
        }
        let start = self.open.iter().position(|open| *open == file).unwrap_or_default();
        let group: Vec<_> = self.open.drain(start..).collect();
        for member in &group {
            self.seen.insert(member, None);
        }
        if group.len() > 1 {
            let mut group: Vec<_> = group.into_iter().map(str::to_owned).collect();
            group.sort();
            self.found.push(group);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(arrows: &[(&str, &str)], expected: &[&[&str]]) {
        let mut tree = Arrows::new();
        for (from, to) in arrows {
            tree.entry((*from).to_owned()).or_default().entry((*to).to_owned()).or_default();
        }
        assert_eq!(circles(&tree), expected);
    }

    #[test]
    fn files_that_reach_each_other_are_one_circle_and_others_are_none() {
        check(&[("a", "b"), ("a", "c"), ("b", "c")], &[]);
        check(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")], &[&["b", "c"]]);
        check(
            &[("a", "b"), ("b", "a"), ("c", "d"), ("d", "e"), ("e", "c"), ("b", "c")],
            &[&["a", "b"], &["c", "d", "e"]],
        );
        check(&[("a", "b"), ("b", "c"), ("c", "a"), ("b", "d"), ("d", "b")], &[&["a", "b", "c", "d"]]);
    }
}
