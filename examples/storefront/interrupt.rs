//! Ctrl-C as a fact that every part of the program can look up or wait for.

use std::io;

#[cfg(windows)]
use tokio::signal::windows::ctrl_c;
use tokio::sync::watch;

/// Whether somebody pressed Ctrl-C.
#[derive(Clone)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on; the process no longer ends by itself.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut signal = ctrl_c()?;
        let (pressed, receiver) = watch::channel(false);
        tokio::spawn(async move {
            if signal.recv().await.is_some() {
                pressed.send_replace(true);
            }
        });
        Ok(Self(receiver))
    }

    pub(crate) fn pressed(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns as soon as it is pressed.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: a press stays pressed.
    pub(crate) async fn wait(&mut self) {
        if self.0.wait_for(|pressed| *pressed).await.is_err() {
            // Nobody listens any more, so nobody will press.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
fn ctrl_c() -> io::Result<tokio::signal::unix::Signal> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())
}
