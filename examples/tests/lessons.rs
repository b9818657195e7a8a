//! The small examples: each prints its lesson.

use crate::built;

#[track_caller]
fn check(name: &str, lesson: &str) {
    let output = built::run(name, &[]);
    let complaints = built::text(output.stderr);
    assert!(output.status.success(), "`{name}` failed: {complaints}");
    assert_eq!(built::text(output.stdout), lesson);
    assert_eq!(complaints, "");
}

#[test]
fn hello_runs_the_body_once_for_each_key_and_again_after_an_invalidation() {
    check(
        "hello",
        "\
(the body runs for Ada)
Hello, Ada!
Hello, Ada!
(the body runs for Grace)
Hello, Grace!
taken back: Applied
(the body runs for Ada)
Hello, Ada!
",
    );
}

#[test]
fn events_end_what_they_outdate_and_reach_subscribers() {
    check(
        "events",
        r#"first:
  (badge 1 is drawn)
  (name 1 is read from the database)
[ Ada ]
again:
[ Ada ]
rename 1: Ok(())
after the rename:
  (badge 1 is drawn)
  (name 1 is read from the database)
[ Ada Lovelace ]
rename 3: Err(UnknownUser)
nothing was announced:
[ Ada Lovelace ]
published: Applied
heard: UserRenamed { id: 1, to: "Ada Lovelace" }
heard: UserRenamed { id: 2, to: "Grace Hopper" }
"#,
    );
}

#[test]
fn groups_end_every_key_that_matches() {
    check(
        "groups",
        "\
at first:
  (user 1 of tenant 1 is loaded)
  (user 2 of tenant 1 is loaded)
  (user 1 of tenant 2 is loaded)
then:
UserUpdated ended 1 key
after an update of user 2 of tenant 1:
  (user 2 of tenant 1 is loaded)
TenantPurged ended 1 group of keys
after the purge of tenant 1:
  (user 1 of tenant 1 is loaded)
  (user 2 of tenant 1 is loaded)
",
    );
}

#[test]
fn methods_share_what_the_key_shares() {
    check(
        "methods",
        "\
pier, coast:
  (pier measures the temperature of day 1)
  20 degrees
  (pier makes the forecast)
  rain for the coast
  (pier counts the sunshine of day 1)
  3 hours of sun
lighthouse, coast:
  20 degrees
  rain for the coast
  3 hours of sun
hut, alps:
  (hut measures the temperature of day 1)
  12 degrees
  (hut makes the forecast)
  rain for the alps
  (hut counts the sunshine of day 1)
  3 hours of sun
methods:v1:temperature:coast:1:
  (pier measures the temperature of day 1)
  20 degrees, not asking the cache
",
    );
}

#[test]
fn testing_your_service_names_what_it_checked() {
    check(
        "testing_your_service",
        "\
a rate is read once
a rate is kept for five minutes
a new rate is seen at once
a failure ends nothing and is not kept
a test may put a value
",
    );
}

#[test]
fn coherence_finds_three_mistakes_and_none_where_none_is() {
    check(
        "coherence",
        "\
the service: coherent
announced before the commit: a load that began before the write returned, but after it was announced, was kept: is the event published before the commit, or does the source show commits late?
not announced: no event or invalidation was announced for this key during the write: is an event forgotten?
the key leaves out the shelf: several keys of the service are kept as one entry: does the key template leave out an argument?
",
    );
}
