//! The names of everything that stands in Redis, in one place.
//!
//! | name | what stands there |
//! |---|---|
//! | `<app>:v<version>:<text>` | an entry: a lease, a value or a cool-down |
//! | `<app>:group:<text>` | the stamp of a group: 16 random bytes |
//! | `<app>:bus` | the bus, a stream |
//! | `{<app>:bus}:routes` | which events name which keys, a hash with its own version |
//! | `{<app>:bus}:nodes` | how far each process has read, a hash |
//! | `{<app>:bus}:nothing` | nothing, ever: scripts unlink it |
//! | `<app>:mark:{<number>}` | nothing that is read: what is written where replicas are waited for, one for each server |
//! | `<app>:wake:<stripe>` | no key but a channel: the wake-ups of a part of all entries |
//!
//! What scripts use together with the bus stands in its cluster slot, by the tag in braces.

use cache_spec::value::ValueWriter;

/// The names that one application uses whatever its functions are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    app: String,
    pub(crate) bus: String,
    pub(crate) routes: String,
    pub(crate) nodes: String,
    pub(crate) nothing: String,
    /// What the names of marks begin with.
    pub(crate) mark: String,
    /// The channels of wake-ups, by stripe: every load that ends names one.
    wakes: Vec<String>,
}

/// The field of the routes that is no route but their version: in the same hash, so that both are lost together.
pub(crate) const ROUTES_VERSION: &str = ":version";

/// How many channels share the wake-ups.
pub(crate) const STRIPES: u16 = 64;

impl Names {
    pub(crate) fn new(app: &str) -> Self {
        Self {
            app: app.to_owned(),
            bus: format!("{app}:bus"),
            routes: format!("{{{app}:bus}}:routes"),
            nodes: format!("{{{app}:bus}}:nodes"),
            nothing: format!("{{{app}:bus}}:nothing"),
            mark: format!("{app}:mark:"),
            wakes: (0..STRIPES).map(|stripe| format!("{app}:wake:{stripe}")).collect(),
        }
    }

    /// The channel of a stripe.
    pub(crate) fn wake(&self, stripe: u16) -> &str {
        &self.wakes[usize::from(stripe)]
    }
}

/// The stripe that an entry's wake-ups share: FNV-1a, since every process must come to the same.
pub(crate) fn stripe(entry: &str) -> u16 {
    let hash = entry
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    u16::try_from(hash % u64::from(STRIPES)).expect("a stripe is small")
}

/// Names shorter than this stand as they are; a longer one keeps its head and ends in `~` and 128 bits of its BLAKE3
/// digest. That is exactly as long, so that no name is the digested form of another.
pub(crate) const LONGEST: usize = 512;

/// Length of the digest in hexadecimal and its `~`.
const DIGEST: usize = 33;

/// Room for names of usual length.
const USUAL: usize = 64;

/// What the names of a function's entries in this version begin with: the texts of their keys follow.
pub(crate) fn beginning(app: &str, version: u32) -> String {
    let mut name = String::with_capacity(USUAL);
    name.push_str(app);
    name.push_str(":v");
    ValueWriter::new(&mut name).unsigned(version.into());
    name.push(':');
    name
}

/// The entry of the key with this text, in this version of its function.
pub(crate) fn entry(app: &str, version: u32, text: &str) -> String {
    bounded(beginning(app, version) + text)
}

/// What an entry is called, and the text of its key: one string, since one mostly ends with the other.
#[derive(Clone, Debug)]
pub(crate) struct EntryName {
    /// The beginning and the text, however long.
    whole: String,
    /// Where the text begins.
    text: usize,
    /// What stands for a name that is too long.
    bounded: Option<String>,
}

impl EntryName {
    /// The name that is `whole` unless that is too long; the text in it begins at `text`.
    pub(crate) fn new(whole: String, text: usize) -> Self {
        let bounded = (whole.len() >= LONGEST).then(|| bounded(whole.clone()));
        Self { whole, text, bounded }
    }

    /// The text of the key.
    pub(crate) fn text(&self) -> &str {
        &self.whole[self.text..]
    }

    /// The name in the second tier.
    pub(crate) fn as_str(&self) -> &str {
        self.bounded.as_deref().unwrap_or(&self.whole)
    }
}

/// The stamp of the group with this text. It has no version: an event reaches the entries of every live one.
pub(crate) fn stamp(app: &str, text: &str) -> String {
    bounded(format!("{app}:group:{text}"))
}

/// The beginning of a name that stands in it whatever follows.
pub(crate) fn head(name: &str) -> &str {
    &name[..name.floor_char_boundary(LONGEST - DIGEST)]
}

fn bounded(name: String) -> String {
    if name.len() < LONGEST {
        return name;
    }
    let digest = blake3::hash(name.as_bytes()).to_hex();
    format!("{}~{}", head(&name), &digest[..DIGEST - 1])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_as_documented() {
        let names = Names::new("shop");
        assert_eq!(entry("shop", 1, "user:42:7"), "shop:v1:user:42:7");
        assert_eq!(stamp("shop", "user:42:*"), "shop:group:user:42:*");
        assert_eq!(names.wake(9), "shop:wake:9");
        let Names { bus, routes, nodes, nothing, .. } = names;
        let all = [bus, routes, nodes, nothing];
        assert_eq!(all, ["shop:bus", "{shop:bus}:routes", "{shop:bus}:nodes", "{shop:bus}:nothing"]);
    }

    #[test]
    fn a_stripe_is_the_same_in_every_process() {
        assert_eq!([stripe(""), stripe("shop:v1:user:42:7")], [37, 20]);
        assert!((0..10_000).all(|i| stripe(&format!("shop:v1:item:{i}")) < STRIPES));
    }

    #[test]
    fn long_names_are_512_bytes_and_differ() {
        let long = |last| entry("shop", 1, &format!("page:{}{last}", "a".repeat(600)));
        assert_eq!(long('x').len(), LONGEST);
        assert_ne!(long('x'), long('y'));
        assert!(long('x').starts_with("shop:v1:page:aaa"));
        assert!(stamp("shop", &"é".repeat(400)).len() <= LONGEST);
    }

    #[test]
    fn a_name_ends_with_its_text_unless_it_is_too_long() {
        let beginning = beginning("shop", 1);
        for length in [0, 1, 100, 503, 504, 505, 5_000] {
            let text = "x".repeat(length);
            let name = EntryName::new(format!("{beginning}{text}"), beginning.len());
            assert_eq!(name.text(), text);
            assert_eq!(name.as_str(), entry("shop", 1, &text));
            assert_eq!(name.as_str().ends_with(&text), length < LONGEST - beginning.len(), "{length}");
        }
    }

    #[test]
    fn no_name_is_the_digested_form_of_another() {
        assert_eq!(entry("a", 1, &"b".repeat(506)), format!("a:v1:{}", "b".repeat(506)));
        let digested = entry("a", 1, &"b".repeat(507));
        assert!(digested.contains('~'));
        assert_ne!(entry("a", 1, digested.strip_prefix("a:v1:").expect("its own beginning")), digested);
    }
}
