//! How long a crate with 50 annotated functions takes to build: that crate alone, with its
//! dependencies built before.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use harness::statistics::median;

use crate::report::progress;
use crate::table::Table;

const FUNCTIONS: usize = 50;

/// One way to annotate the same 50 functions.
struct Variant {
    name: &'static str,
    package: &'static str,
    dependency: &'static str,
    /// The attribute of function `NUMBER`.
    attribute: &'static str,
}

const VARIANTS: &[Variant] = &[
    Variant { name: "no macro", package: "no-macro", dependency: "", attribute: "" },
    Variant {
        name: "cache-runtime `#[cached]` (ours)",
        package: "with-cache-runtime",
        dependency: "cache-runtime = { path = \"RUNTIME\" }",
        attribute: "#[cache_runtime::cached(ttl = \"5m\", key = \"rowNUMBER:<tenant>:<id>\")]",
    },
    Variant {
        name: "cached `#[cached]`",
        package: "with-cached",
        dependency: "cached = { version = \"4.1.0\", features = [\"async\"] }",
        attribute: "#[cached::macros::cached(max_size = 1_000, ttl_secs = 300)]",
    },
    Variant {
        name: "cached `#[concurrent_cached]`",
        package: "with-concurrent-cached",
        dependency: "cached = { version = \"4.1.0\", features = [\"async\"] }",
        attribute: "#[cached::macros::concurrent_cached(max_size = 1_000, ttl_secs = 300)]",
    },
];

/// What cargo is asked to do, and for which profile.
const BUILDS: &[(&str, &[&str])] = &[("check", &["check"]), ("dev", &["build"]), ("release", &["build", "--release"])];

/// How long one build took.
#[derive(Clone, Copy)]
struct Took {
    wall: f64,
    /// Of all processes together: what a busy machine changes least.
    processor: f64,
}

/// Builds each variant in turns, as often as asked, and gives the median times.
pub(crate) fn measure(repetitions: usize) -> Table {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    write_workspace(folder.path());
    let mut head = vec!["a crate with 50 functions, alone", "each annotated with"];
    head.extend(BUILDS.iter().map(|(name, _)| *name));
    let mut columns = Vec::new();
    for (name, arguments) in BUILDS {
        progress(&format!("build times, {name}"));
        columns.push(times(folder.path(), arguments, repetitions));
    }
    let mut table = Table::new(&head);
    for (index, variant) in VARIANTS.iter().enumerate() {
        let mut cells = vec![variant.name.to_owned(), variant.attribute.replace("NUMBER", "7")];
        cells.extend(columns.iter().map(|times| cell(&times[index])));
        table.row(cells);
    }
    table
}

fn cell(times: &[Took]) -> String {
    if times.is_empty() {
        return "does not build".to_owned();
    }
    let middle = |part: fn(&Took) -> f64| median(&times.iter().map(part).collect::<Vec<_>>());
    format!("{:.2} s ({:.2} s)", middle(|took| took.wall), middle(|took| took.processor))
}

/// For each variant, the times of each repetition.
fn times(folder: &Path, arguments: &[&str], repetitions: usize) -> Vec<Vec<Took>> {
    for variant in VARIANTS {
        build(folder, variant, arguments);
    }
    let mut times = vec![Vec::new(); VARIANTS.len()];
    for _ in 0..repetitions {
        for (variant, times) in VARIANTS.iter().zip(&mut times) {
            times.extend(build(folder, variant, arguments));
        }
    }
    times
}

/// Touches the crate, so that cargo builds it again, and builds it; nothing if that fails.
fn build(folder: &Path, variant: &Variant, arguments: &[&str]) -> Option<Took> {
    write_source(folder, variant);
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command.args(arguments).args(["--quiet", "--package", variant.package]);
    // Without incremental compilation: the same work each time, as in CI.
    command.current_dir(folder).env("CARGO_INCREMENTAL", "0").env_remove("CARGO_TARGET_DIR");
    let (begun, processor_before) = (Instant::now(), processor_seconds());
    let status = command.status().expect("cargo can be started");
    let wall = begun.elapsed().as_secs_f64();
    status.success().then(|| Took { wall, processor: processor_seconds() - processor_before })
}

/// The processor time of our children that ended, and of theirs, as Linux counts it: fields 16 and
/// 17 of `/proc/self/stat`, in hundredths of a second. Elsewhere it is not known.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name, in brackets, and may hold spaces.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(13).take(2);
    let ticks: f64 = fields.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn write_workspace(folder: &Path) {
    let packages: Vec<_> = VARIANTS.iter().map(|variant| variant.package).collect();
    write(&folder.join("Cargo.toml"), &format!("[workspace]\nresolver = \"3\"\nmembers = {packages:?}\n"));
    // The same versions as in the other table.
    write(&folder.join("Cargo.lock"), include_str!("../Cargo.lock"));
    for variant in VARIANTS {
        let runtime = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-runtime");
        let dependency = variant.dependency.replace("RUNTIME", &runtime.display().to_string());
        write(
            &folder.join(variant.package).join("Cargo.toml"),
            &format!(
                "[package]\nname = \"{}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
                 [dependencies]\nserde = {{ version = \"1.0.229\", features = [\"derive\"] }}\n\
                 tokio = {{ version = \"1.54.1\", features = [\"rt\", \"macros\"] }}\n{dependency}\n",
                variant.package
            ),
        );
        write_source(folder, variant);
    }
}

/// A library, so that no linker is measured; its one public function needs the code of all 50.
fn write_source(folder: &Path, variant: &Variant) {
    let mut source = String::from(
        "use serde::{Deserialize, Serialize};\n\n\
         #[derive(Clone, Debug, Serialize, Deserialize)]\npub struct LoadError;\n\n\
         async fn fetch(tenant: u64, id: u64) -> Result<String, LoadError> {\n    \
         tokio::task::yield_now().await;\n    Ok(format!(\"{tenant} {id}\"))\n}\n",
    );
    let mut calls = String::new();
    for number in 0..FUNCTIONS {
        let attribute = variant.attribute.replace("NUMBER", &number.to_string());
        write!(
            source,
            "\n#[derive(Clone, Debug, Serialize, Deserialize)]\npub struct Row{number} {{\n    \
             pub tenant: u64,\n    pub id: u64,\n    pub name: String,\n}}\n\n{attribute}\n\
             pub async fn load_{number}(tenant: u64, id: u64) -> Result<Row{number}, LoadError> {{\n    \
             let name = fetch(tenant, id).await?;\n    Ok(Row{number} {{ tenant, id, name }})\n}}\n"
        )
        .expect("a string takes what is written");
        writeln!(calls, "        load_{number}(1, 2).await?;").expect("as above");
    }
    write!(
        source,
        "\npub fn all() -> std::pin::Pin<Box<dyn Future<Output = Result<(), LoadError>> + Send>> {{\n    \
         Box::pin(async {{\n{calls}        Ok(())\n    }})\n}}\n"
    )
    .expect("as above");
    write(&folder.join(variant.package).join("src/lib.rs"), &source);
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file lies in a folder");
    fs::create_dir_all(folder).expect("the temporary folder can be written to");
    fs::write(path, text).expect("the temporary folder can be written to");
}
