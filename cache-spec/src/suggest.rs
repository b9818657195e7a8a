//! "did you mean": the nearest of the names that exist.

/// The candidate that `name` was most likely meant to be, or `None` when all are too far.
///
/// Distance is the number of characters inserted, removed, replaced or swapped with their
/// neighbour (optimal string alignment), and may be up to a third of the name. Upper and lower case
/// count as equal unless that leaves a tie. Among equals the first candidate wins.
///
/// ```
/// use cache_spec::suggest;
///
/// assert_eq!(suggest::nearest("tennant", ["id", "tenant"]), Some("tenant"));
/// assert_eq!(suggest::nearest("colour", ["id", "tenant"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&folded(name), &folded(candidate)), candidate))
        .filter(|&(folded, candidate)| folded <= allowed && folded < candidate.chars().count())
        .min_by_key(|&(folded, candidate)| (folded, distance(&exact(name), &exact(candidate))))
        .map(|(_, candidate)| candidate)
}

fn exact(text: &str) -> Vec<char> {
    text.chars().collect()
}

fn folded(text: &str) -> Vec<char> {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Optimal string alignment, by rows: only the last two are ever needed.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i);
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, candidates: &[&str], expected: Option<&str>) {
        assert_eq!(nearest(name, candidates.iter().copied()), expected);
    }

    #[test]
    fn the_nearest_is_found() {
        check("tll", &["key", "ttl"], Some("ttl"));
        check("jiter", &["jitter", "version"], Some("jitter"));
        check("invalidate", &["invalidate_on", "version"], Some("invalidate_on"));
        check("TTL", &["ttl"], Some("ttl"));
        check("Id", &["ID", "id", "Id"], Some("Id"));
        check("größe", &["grösse", "größen"], Some("größen"));
    }

    #[test]
    fn what_is_too_far_is_not_offered() {
        check("id", &["tenant"], None);
        check("x", &["y"], None);
        check("", &["a"], None);
        check("key", &[], None);
    }

    #[test]
    fn a_swap_is_one_step() {
        assert_eq!(distance(&exact("abcd"), &exact("abdc")), 1);
        assert_eq!(distance(&exact("kitten"), &exact("sitting")), 3);
        assert_eq!(distance(&[], &exact("abc")), 3);
        assert_eq!(distance(&exact("abc"), &[]), 3);
    }
}
