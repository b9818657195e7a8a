//! The mutants, and who is to notice each: the one table that the command, its matrix and its own tests read.

/// A protocol with one rule less, or with a worse one.
#[derive(Debug)]
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    /// The rule of the runtime (`cache_runtime::testing::Rule`) that is taken away, as `simulate --without` names it.
    pub(crate) rule: Option<&'static str>,
    /// Why there is nothing to simulate, or why nothing is expected of it.
    pub(crate) not_simulated: Option<&'static str>,
    /// Mutants of the model, as `model --mutant` names them: all of them have to be caught.
    pub(crate) model: &'static [&'static str],
    /// Tests that take the rule away, or do what the mutant would do, and see what then goes wrong: all of them have to
    /// pass. As `binary::path`; `runtime::path` are those inside cache-runtime.
    pub(crate) tests: &'static [&'static str],
    /// Tests of what makes the mutant impossible: they fail as soon as the code becomes it. They kill nothing here.
    pub(crate) pins: &'static [&'static str],
}

const LINKED: &str = "by design: its processes link the same functions";
const IN_THE_END: &str = "no: calls end all the same, only later, and with the right values";
const POLLS: &str = "no rule: who waits for a wake-up looks by itself, too";
const ONE_SLOT: &str = "no rule: lease and value share one slot, and scripts compare its beginning";
const NONCE: &str = "no rule: a stamp is a nonce, and a missing one is made anew";
const OF_THE_USER: &str = "no rule: it is the service that does it";
const OF_OTHERS: &str = "no rule: another cache, which is asked the same";
const OF_THE_MODEL: &str = "no rule in the runtime";

const fn mutant(name: &'static str) -> Mutant {
    Mutant { name, rule: None, not_simulated: None, model: &[], tests: &[], pins: &[] }
}

const fn without(name: &'static str, rule: &'static str) -> Mutant {
    Mutant { rule: Some(rule), ..mutant(name) }
}

const fn impossible(name: &'static str, why: &'static str) -> Mutant {
    Mutant { not_simulated: Some(why), ..mutant(name) }
}

/// The mutants that the protocol was worked out with, in its order; then the other rules of the runtime; then what only
/// the model can be without.
pub(crate) const MUTANTS: &[Mutant] = &[
    Mutant {
        model: &["FillToken", "RefreshToken", "PutLease"],
        tests: &[
            "races::race_1_without_the_token_the_old_value_is_stored",
            "races::race_4_without_the_token_the_late_fill_wins",
            "races::race_8_without_the_token_what_was_loaded_between_the_two_is_stored",
            "races::race_9_without_the_token_the_refresh_stores_the_old_value",
            "races::race_11_without_the_token_it_fills_without_its_lease",
            "found_by_stress::without_the_token_it_puts_the_old_value",
        ],
        ..without("no token check", "fill-token")
    },
    Mutant {
        model: &["Seal"],
        tests: &["flight_rules::f1_nobody_joins_once_the_fill_was_sent"],
        ..without("no seal", "seal")
    },
    Mutant {
        model: &["NoSharedHits", "SharedLook"],
        tests: &["flight_rules::f2_a_hit_is_given_only_to_those_who_came_before_its_read_was_sent"],
        ..without("shared hits", "no-shared-hits")
    },
    Mutant {
        model: &["Verdict"],
        tests: &[
            "flight_rules::f3_joiners_get_the_value_only_with_an_accepted_fill",
            "schedules::without_f3_verdict_joiners_get_a_stale_value",
            "races::race_3_without_the_verdict_it_gets_the_old_value",
        ],
        ..without("joiners without verdict", "verdict")
    },
    Mutant {
        model: &["Snapshot"],
        tests: &["races::race_6_without_stamps_or_their_snapshot_the_old_value_stays"],
        ..without("stamps read after the load", "snapshot")
    },
    Mutant {
        model: &["CounterStamps"],
        tests: &["mutants::a_stamp_that_comes_again_brings_the_old_value_back"],
        pins: &["mutants::a_stamp_that_is_lost_never_comes_again"],
        ..impossible("counter stamps under failover", NONCE)
    },
    Mutant {
        model: &["SeparateLock"],
        tests: &["testing::naive::a_lock_beside_the_entry_is_found_out"],
        pins: &[
            "races::race_11_the_lease_is_evicted_under_a_load",
            "runtime::redis::store::tests::leases::whoever_removes_an_entry_revokes_its_lease",
        ],
        ..impossible("separate lock key", ONE_SLOT)
    },
    Mutant {
        model: &["Fence"],
        tests: &[
            "schedules::without_the_fence_an_overtaken_value_is_kept",
            "schedules::without_the_order_of_its_fences_a_copy_is_stale",
            "coherence::without_detach_and_fence_it_is",
            "races::race_2_without_fence_and_detach_the_old_value_is_kept",
        ],
        ..without("no poison guard", "fence")
    },
    Mutant {
        model: &["UnlinkFirst", "FenceFirst"],
        tests: &["races::told_before_it_is_unlinked_it_reads_the_old_value_again_and_keeps_it"],
        ..without("bus before unlink", "unlink-first")
    },
    Mutant {
        model: &["InvalidateFirst"],
        tests: &[
            "testing::coherence::an_event_before_the_commit_is_found",
            "testing::coherence::an_invalidation_before_the_commit_is_found",
        ],
        ..impossible("invalidate before commit", OF_THE_USER)
    },
    Mutant {
        model: &["Gap"],
        tests: &[
            "races::race_11_without_the_gap_rule_the_old_value_is_served",
            "races::race_12_without_the_gap_rule_the_old_value_is_served",
        ],
        ..without("gap ignored", "gap")
    },
    Mutant {
        model: &["Identity", "Generation"],
        tests: &["runtime::bus::tests::without_a_look_at_the_server_what_another_one_says_is_believed"],
        ..without("run id ignored", "identity")
    },
    Mutant {
        model: &["Journal"],
        tests: &["races::race_10_without_the_journals_fence_the_old_value_is_read"],
        ..without("journal not replayed first", "journal")
    },
    Mutant {
        model: &["Routes", "Registered"],
        not_simulated: Some(LINKED),
        tests: &["races::without_the_routes_of_others_it_does_not"],
        ..without("routes version ignored", "routes")
    },
    Mutant {
        model: &["MissingStamp"],
        tests: &["mutants::a_stamp_that_goes_first_costs_a_load"],
        pins: &[
            "mutants::a_stamp_outlives_what_is_stored_under_it",
            "runtime::redis::store::tests::leases::a_stamp_lives_as_long_as_the_longest_of_its_members",
        ],
        ..impossible("stamp ttl below entry ttl", NONCE)
    },
    Mutant {
        model: &["RightFromSending"],
        tests: &["runtime::bus::tests::from_the_answer_on_the_right_is_too_long"],
        ..without("valid_until from receipt", "right-from-sending")
    },
    Mutant {
        model: &["DoubleFill"],
        pins: &["runtime::redis::store::tests::leases::who_holds_the_lease_fills"],
        ..impossible("double fill", ONE_SLOT)
    },
    Mutant {
        model: &["RenewLost"],
        pins: &[
            "runtime::redis::store::tests::leases::whoever_removes_an_entry_revokes_its_lease",
            "runtime::redis::store::tests::leases::leases_are_renewed_one_by_one",
        ],
        ..impossible("renew after expiry", ONE_SLOT)
    },
    Mutant {
        model: &["RefreshToken"],
        tests: &["races::race_9_without_the_token_the_refresh_stores_the_old_value"],
        pins: &["stale::what_is_invalid_is_not_served_as_stale"],
        ..without("soft lifetime extended after an invalidation", "fill-token")
    },
    Mutant {
        model: &["LostWakeUp"],
        pins: &[
            "mutants::who_is_not_woken_looks_by_itself",
            "runtime::redis::store::tests::leases::a_wake_up_reaches_who_waits",
            "runtime::redis::store::tests::leases::who_comes_too_late_for_the_wake_up_sees_what_there_is",
        ],
        ..impossible("lost wake-up", POLLS)
    },
    Mutant {
        tests: &["testing::naive::a_lock_beside_the_entry_is_found_out"],
        ..impossible("a naive SETNX cache", OF_OTHERS)
    },
    Mutant {
        tests: &[
            "testing::naive::moka_is_found_out",
            "testing::naive::moka_is_not_coherent",
            "testing::naive::a_map_with_one_load_for_each_key_is_found_out",
        ],
        ..impossible("plain moka get_with", OF_OTHERS)
    },
    Mutant {
        model: &["Detach"],
        tests: &[
            "flight_rules::f4_an_invalidation_detaches_the_flight",
            "schedules::without_f4_detach_later_callers_join_an_overtaken_load",
            "coherence::without_detach_it_does",
        ],
        ..without("flights not detached", "detach")
    },
    Mutant {
        model: &["BoundedRetries"],
        not_simulated: Some(IN_THE_END),
        tests: &["coherence::a_write_hot_key_is_loaded_after_three_lost_flights"],
        ..without("unbounded retries", "bounded-retries")
    },
    Mutant {
        model: &["HandOver"],
        not_simulated: Some(IN_THE_END),
        tests: &[
            "flight_rules::f6_those_who_wait_take_over_from_a_leader_that_left",
            "races::race_5_without_the_hand_over_they_wait_until_it_counts_as_hung",
            "schedules::without_f6_hand_over_those_who_wait_hang",
        ],
        ..without("no hand-over", "hand-over")
    },
    Mutant {
        model: &["Stamps"],
        tests: &[
            "races::race_6_without_stamps_or_their_snapshot_the_old_value_stays",
            "races::race_11_without_stamps_what_was_loaded_under_the_lost_one_stays",
        ],
        ..without("stamps not compared", "stamps")
    },
    Mutant {
        model: &["SecondBump"],
        tests: &["races::race_7_without_the_second_fence_the_publisher_keeps_the_old_value"],
        ..without("one fence of the publisher", "second-bump")
    },
    Mutant {
        model: &["Right"],
        tests: &["races::race_14_without_that_rule_it_serves_the_old_value"],
        ..without("blind and serving", "right")
    },
    Mutant {
        tests: &["nested::without_that_rule_everybody_reads_the_old_value"],
        ..without("loads made of what one process still keeps", "nested")
    },
    Mutant {
        tests: &["schedules::nested::without_rounds_it_is_made_of_what_is_about_to_become_invalid"],
        ..without("several keys made invalid once", "rounds")
    },
    Mutant {
        model: &["Recent"],
        pins: &[
            "runtime::bus::tests::the_latest_invalidations_are_repeated_to_another_server",
            "runtime::bus::tests::what_is_repeated_waits_before_memory_is_emptied",
        ],
        ..impossible("nothing repeated after a failover", OF_THE_MODEL)
    },
    Mutant {
        model: &["GapAlone"],
        pins: &["runtime::bus::tests::what_is_left_behind_a_gap_is_unlinked_and_delivered"],
        ..impossible("nothing behind a gap applied", OF_THE_MODEL)
    },
    Mutant {
        model: &["EndAlone"],
        pins: &["runtime::bus::tests::what_nobody_has_read_when_another_server_takes_over_is_unlinked_and_delivered"],
        ..impossible("nothing read of another server's bus", OF_THE_MODEL)
    },
    Mutant {
        model: &["OnceOnly"],
        pins: &["runtime::bus::tests::what_was_read_and_unlinked_is_unlinked_from_another_server_too"],
        ..impossible("nothing unlinked again from another server", OF_THE_MODEL)
    },
    Mutant {
        model: &["FirstLook"],
        pins: &["runtime::bus::tests::what_was_invalidated_before_the_first_look_is_repeated"],
        ..impossible("nothing repeated at the first look", OF_THE_MODEL)
    },
    Mutant {
        model: &["Begin"],
        pins: &["runtime::redis::store::tests::bus::where_there_is_no_bus_whoever_looks_begins_one"],
        ..impossible("no bus begun by a look", OF_THE_MODEL)
    },
    Mutant {
        model: &["YoungList"],
        pins: &["found_by_stress::everywhere_waits_for_processes_that_the_server_has_forgotten"],
        ..impossible("everywhere by a list just begun", OF_THE_MODEL)
    },
    Mutant {
        model: &["Doubt"],
        pins: &[
            "found_by_stress::everywhere_waits_for_processes_whose_right_the_server_has_forgotten",
            "found_by_stress::everywhere_waits_in_a_process_that_has_just_started",
            "found_by_stress::everywhere_waits_in_a_process_that_has_just_found_a_server",
        ],
        ..impossible("everywhere without a doubt", OF_THE_MODEL)
    },
    Mutant {
        model: &["ListOfAnother"],
        pins: &["runtime::announce::tests::a_list_behind_another_connection_counts_when_its_server_was_looked_at"],
        ..impossible("everywhere by another server's list", OF_THE_MODEL)
    },
    Mutant {
        model: &["Token"],
        pins: &[
            "after::the_token_of_an_own_write_does_not_stand_before_the_one_of_another_process",
            "after::nor_does_one_that_is_applied_already",
        ],
        ..impossible("tokens not waited for", OF_THE_MODEL)
    },
    Mutant {
        model: &["LateJoin"],
        pins: &["races::race_3_where_no_lease_tells_nobody_joins_who_must_see_what_is_new"],
        ..impossible("loads without a lease joined for ever", OF_THE_MODEL)
    },
    Mutant {
        model: &["ImmortalLease"],
        pins: &["runtime::redis::store::tests::leases::one_of_two_takes_the_lease"],
        ..impossible("leases without a lifetime", OF_THE_MODEL)
    },
];

impl Mutant {
    /// Whether somebody who asks for this means it: by its own name, its rule's or one of the model's.
    pub(crate) fn is_called(&self, asked: &str) -> bool {
        let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
        let mut names = [self.name].into_iter().chain(self.rule).chain(self.model.iter().copied());
        names.any(|name| plain(name) == plain(asked))
    }

    /// The rule that the simulation takes away.
    pub(crate) fn simulated(&self) -> Option<&'static str> {
        self.rule.filter(|_| self.not_simulated.is_none())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::MUTANTS;
    use crate::workspace;

    /// The names that a block of code lists, one in a line, such as the variants of an enum.
    fn listed(path: &str, from: &str) -> BTreeSet<String> {
        let text = workspace::read(path).expect("it is there");
        let (_, rest) = text.split_once(from).expect("it begins somewhere");
        let (block, _) = rest.split_once("\n}").expect("it ends somewhere");
        let names = block.lines().map(str::trim).filter(|line| line.starts_with(|first: char| first.is_uppercase()));
        names.map(|line| line.trim_end_matches(',').to_owned()).collect()
    }

    fn in_words(name: &str) -> String {
        let mut words = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() && !words.is_empty() {
                words.push('-');
            }
            words.extend(letter.to_lowercase());
        }
        words
    }

    #[test]
    fn every_rule_of_the_runtime_is_there() {
        let rules: BTreeSet<String> =
            listed("cache-runtime/src/rules.rs", "pub enum Rule {").iter().map(|rule| in_words(rule)).collect();
        let ours: BTreeSet<String> = MUTANTS.iter().filter_map(|mutant| mutant.rule).map(str::to_owned).collect();
        assert!(rules.len() > 10);
        assert_eq!(ours, rules, "left in the table, right in the runtime");
    }

    #[test]
    fn every_mutant_of_the_model_is_there() {
        let model = listed("tests/model/src/mutant.rs", "pub enum Mutant {");
        let ours: BTreeSet<String> = MUTANTS.iter().flat_map(|mutant| mutant.model).map(|&name| name.into()).collect();
        assert!(model.len() > 30);
        assert_eq!(ours, model, "left in the table, right in the model");
    }

    #[test]
    fn every_rule_that_is_simulated_has_a_name_there() {
        let names = workspace::read("tests/src/stress/settings.rs").expect("it is there");
        for rule in MUTANTS.iter().filter_map(super::Mutant::simulated) {
            assert!(names.contains(&format!("(\"{rule}\", Rule::")), "{rule}");
        }
    }

    #[test]
    fn what_is_not_simulated_says_why() {
        for mutant in MUTANTS {
            assert!(mutant.rule.is_some() || mutant.not_simulated.is_some(), "{}", mutant.name);
            assert!(mutant.model.len() + mutant.tests.len() > 0, "{}", mutant.name);
            // What can be taken away is taken away; of the rest, some test of the code itself holds it.
            assert!(mutant.rule.is_none() || !mutant.tests.is_empty(), "{}", mutant.name);
            assert!(mutant.tests.len() + mutant.pins.len() > 0, "{} stands in the model alone", mutant.name);
        }
    }

    #[test]
    fn each_has_a_name_of_its_own() {
        for mutant in MUTANTS {
            assert!(mutant.is_called(mutant.name) && mutant.is_called(&mutant.name.replace(' ', "-")));
            assert_eq!(MUTANTS.iter().filter(|other| other.name == mutant.name).count(), 1, "{}", mutant.name);
        }
    }

    #[test]
    fn each_is_called_by_its_rule_and_by_its_name_in_the_model_too() {
        for (asked, mutant) in [("no-shared-hits", "shared hits"), ("LostWakeUp", "lost wake-up")] {
            let called: Vec<_> = MUTANTS.iter().filter(|mutant| mutant.is_called(asked)).collect();
            assert_eq!(called.iter().map(|mutant| mutant.name).collect::<Vec<_>>(), [mutant]);
        }
        assert!(!MUTANTS.iter().any(|mutant| mutant.is_called("sael")));
    }
}
