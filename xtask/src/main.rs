//! Developer commands, run as `cargo xtask <command>` from any folder of the repository.
//!
//! One module per command; what they share is in [`run`] (child processes and numbered steps),
//! [`workspace`] (where things are) and [`prerequisites`] (what a bare machine lacks).

mod bench;
mod chaos;
mod failure;
mod flags;
mod fuzz;
mod model;
mod mutants;
mod prerequisites;
mod run;
mod schedules;
mod simulate;
mod stress;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use failure::Failure;

/// One command: the help text and the dispatch both read this table.
struct Command {
    name: &'static str,
    arguments: &'static str,
    does: &'static str,
    run: fn(&[String]) -> Result<(), Failure>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        arguments: "[--quick]",
        does: "everything CI checks: formatting, tidy, clippy, documentation, model, simulation, tests\n\
               --quick leaves out the documentation and the second clippy run",
        run: test::run,
    },
    Command {
        name: "tidy",
        arguments: "",
        does: "import layers, sizes, leftovers and reasons that the compiler does not check",
        run: tidy::run,
    },
    Command {
        name: "fuzz",
        arguments: "[TARGET] [--seconds N]",
        does: "fuzz whoever reads what strangers write, 60 seconds each; needs nightly and cargo-fuzz",
        run: fuzz::run,
    },
    Command {
        name: "model",
        arguments: "[--large | --states N | --more [N] | --only CONFIGURATION | --mutant MUTANT]",
        does: "explore the model of the protocol: every state of the small configurations, and every mutant caught\n\
               --large goes on with the large ones until 500 million states were seen, --states until N\n\
               --more gives each small one one fault more of each kind, and two: a million states of each, or N\n\
               --mutant prints the shortest way to the promise that it breaks",
        run: model::run,
    },
    Command {
        name: "schedules",
        arguments: "[--schedules N] [--only TEST]",
        does: "orders in which threads may come, a million for each test unless said otherwise: flights, fences, the\n\
               breaker, and who reads the bus",
        run: schedules::run,
    },
    Command {
        name: "stress",
        arguments: "[--minutes N] [--processes N] [--seed N] [--without RULE[,RULE..]]",
        does: "the long run over a real Redis, 5 minutes and 4 processes unless said otherwise: everything goes wrong\n\
               at random, and no read may be older than promised\n\
               --without takes rules of the protocol away, and then it has to find some; a wrong name lists them",
        run: stress::run,
    },
    Command {
        name: "chaos",
        arguments: "[--minutes N] [--topology standalone|sentinel|cluster|all] [--seed N] [--without RULE[,RULE..]]",
        does: "the same over one server, sentinels and a cluster, 6 minutes in all unless said otherwise: the network\n\
               fails, servers are killed, stopped and fail over, slots move; tells what failovers have lost",
        run: chaos::run,
    },
    Command {
        name: "simulate",
        arguments: "[--seeds N] [--seconds N] [--from N] [--seed N] [--mutants] [--without RULE[,RULE..]] [--threads N]",
        does: "the deterministic simulation, 20,000 seeds unless said otherwise: no promise is broken in any of them\n\
               --seed runs one of them and tells it; of one that fails, only what matters to the failure\n\
               --mutants takes one rule of the protocol away at a time, and tells how soon it is missed",
        run: simulate::run,
    },
    Command {
        name: "mutants",
        arguments: "[--only MUTANT]",
        does: "the protocol without one of its rules at a time: which of model, simulation and tests notices, as a matrix;\n\
               fails if one survives, or a layer does not do what the matrix says of it",
        run: mutants::run,
    },
    Command {
        name: "bench",
        arguments: "l1|l2 [--quick] | check",
        does: "l1: measure hits of the in-process tier beside its peers into benches/RESULTS.md;\n\
               --quick for a look, without build times\n\
               l2: the same for the second tier, over a redis-server of its own, into benches/RESULTS-l2.md\n\
               check: formatting, clippy and tests of the benches, two workspaces of their own",
        run: bench::run,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            failure.exit_code()
        }
    }
}

fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        println!("{}", help());
        return Ok(());
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", help());
        return Ok(());
    }
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(rest),
        None => Err(Failure::usage(format!("there is no command `{name}`\n\n{}", help()))),
    }
}

fn help() -> String {
    let mut text = String::from("usage: cargo xtask <command>\n");
    for command in COMMANDS {
        text.push_str(format!("\n  {} {}", command.name, command.arguments).trim_end_matches(' '));
        for line in command.does.lines() {
            text.push_str("\n      ");
            text.push_str(line.trim_start());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, dispatch, help};
    use std::process::ExitCode;

    #[test]
    fn the_help_names_every_command() {
        let help = help();
        for command in COMMANDS {
            assert!(help.contains(command.name), "{} is missing in:\n{help}", command.name);
        }
    }

    #[test]
    fn an_unknown_command_is_a_usage_error_that_lists_the_commands() {
        let failure = dispatch(&["tset".to_owned()]).expect_err("there is no such command");
        assert_eq!(format!("{:?}", failure.exit_code()), format!("{:?}", ExitCode::from(2)));
        assert!(failure.to_string().contains("`tset`"), "{failure}");
        assert!(failure.to_string().contains("tidy"), "{failure}");
    }

    #[test]
    fn an_unknown_argument_is_a_usage_error() {
        for command in COMMANDS {
            let failure = (command.run)(&["--no-such-flag".to_owned()]).expect_err("no command takes this argument");
            assert!(failure.to_string().contains("--no-such-flag"), "{failure}");
        }
    }
}
