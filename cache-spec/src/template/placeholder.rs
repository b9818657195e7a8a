use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// `<id>`, `<order.id>` or `<query:hash>`. Where it stands does not matter to equality.
#[derive(Debug, Clone)]
pub struct Placeholder {
    path: String,
    root: String,
    fields: Vec<String>,
    hashed: bool,
    range: Range<usize>,
}

impl Placeholder {
    /// `names` are the segments of the path, at least one.
    pub(crate) fn new(mut names: Vec<String>, hashed: bool, range: Range<usize>) -> Self {
        let path = names.join(".");
        let root = names.remove(0);
        Self { path, root, fields: names, hashed, range }
    }

    /// The whole path, as in `order.id`. No name in it begins with `r#`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The first name of the path: an argument, `self`, or in a pattern a field of the event.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The fields after the root, outermost first: names or tuple indexes.
    #[must_use]
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// The last segment of the path: the field that a bare event must have.
    #[must_use]
    pub fn last(&self) -> &str {
        self.fields.last().unwrap_or(&self.root)
    }

    /// Whether the key holds the digest of the value.
    #[must_use]
    pub fn hashed(&self) -> bool {
        self.hashed
    }

    /// Where it first stands in the parsed text, brackets included.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Its index in `placeholders`, where it is added when it is new.
    pub(crate) fn index_in(self, placeholders: &mut Vec<Self>) -> usize {
        placeholders.iter().position(|known| *known == self).unwrap_or_else(|| {
            placeholders.push(self);
            placeholders.len() - 1
        })
    }
}

/// As it is written in a template.
impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modifier = if self.hashed { ":hash" } else { "" };
        write!(f, "<{}{modifier}>", self.path)
    }
}

impl PartialEq for Placeholder {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.hashed == other.hashed
    }
}

impl Eq for Placeholder {}

impl Hash for Placeholder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.path.hash(state);
        self.hashed.hash(state);
    }
}
