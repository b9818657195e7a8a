//! One small shell beside each test process that has children: it outlives the process, kills what is left of them and
//! removes their files. What a test process does on its way out, it cannot do after SIGKILL.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::scratch;

/// Reads `+ <id>` and `- <id>`. The end of its input is the end of the test process, whatever it died of.
const SCRIPT: &str = r#"
ids=
while read -r sign id; do
    case $sign in
        +) ids="$ids $id" ;;
        -) others=
           for other in $ids; do [ "$other" = "$id" ] || others="$others $other"; done
           ids=$others ;;
    esac
done
[ -z "$ids" ] || kill -9 $ids
rm -rf -- "$1"
"#;

/// Has the process killed if this one dies first.
pub(super) fn watch(id: u32) {
    tell('+', id);
}

/// To be called before the process is reaped: afterwards its id may be another's.
pub(super) fn forget(id: u32) {
    tell('-', id);
}

fn tell(sign: char, id: u32) {
    static WATCHDOG: LazyLock<Mutex<Child>> = LazyLock::new(|| Mutex::new(start()));
    let mut watchdog = WATCHDOG.lock().unwrap_or_else(PoisonError::into_inner);
    let input = watchdog.stdin.as_mut().expect("its standard input is a pipe");
    // Without a watchdog the tests still clean up after themselves.
    let _ = writeln!(input, "{sign} {id}");
}

fn start() -> Child {
    let mut command = Command::new("sh");
    command.args(["-c", SCRIPT, "watchdog"]).arg(scratch::of_this_process());
    // A group of its own: Ctrl-C in a terminal goes to the whole group of the tests.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("there is a shell")
}
