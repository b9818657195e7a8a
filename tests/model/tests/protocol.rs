//! Every rule is needed: the model keeps its promises with all of them, and breaks one without any.
//!
//! `cargo xtask model` explores more: all small configurations, and large ones by command.

use cache_model::configurations::{FAILOVER, FOREIGN, GAP, GROUP, JOIN, OWN, PUT, SMALL};
use cache_model::mutant::KILLS;
use cache_model::run::{Search, explore, hunt};

/// So many threads as there are processors in a small machine.
const THREADS: usize = 2;

#[test]
fn with_all_of_its_rules_the_protocol_keeps_its_promises() {
    for config in [JOIN, GROUP, PUT, OWN, GAP, FOREIGN, FAILOVER] {
        let explored = explore(config, Search::Breadth, THREADS);
        let ways: Vec<_> = explored.broken.iter().map(|broken| broken.way.as_str()).collect();
        assert!(explored.is_complete, "{}:\n{}", config.name, ways.join("\n\n"));
        assert_eq!(explored.unreached, [], "{}: never reached, so that it shows nothing", config.name);
    }
}

#[test]
fn without_any_of_them_it_breaks_one() {
    for kill in KILLS {
        let explored = hunt(*kill.config, kill.mutant);
        let broken = explored.broken.first();
        let caught = broken.map_or("nothing", |broken| broken.property);
        assert!(caught.starts_with(kill.property), "{:?} in {}: {caught}", kill.mutant, kill.config.name);
    }
}

#[test]
fn the_way_to_a_broken_promise_reads_like_a_story() {
    let kill = KILLS.iter().find(|kill| kill.property == "strict").expect("some mutant breaks it");
    let explored = hunt(*kill.config, kill.mutant);
    let broken = explored.broken.first().expect("it is caught");
    for part in ["begins: it needs version 0", "seals its flight", "joins the flight of call", "=> a call was given"] {
        assert!(broken.way.contains(part), "no `{part}` in:\n{}", broken.way);
    }
    assert_eq!(broken.way.lines().count(), broken.steps + 1);
}

#[test]
fn configurations_have_names_of_their_own() {
    for (number, config) in SMALL.iter().enumerate() {
        assert!(SMALL[..number].iter().all(|other| other.name != config.name), "{} twice", config.name);
    }
}
