//! Warnings, as a test hears them.

use std::sync::{Arc, Mutex};

/// Counts warnings, and keeps the function that the last one names.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<Mutex<(usize, String)>>);

impl Warnings {
    /// How many there were, and of which function the last one was.
    pub(crate) fn told(&self) -> (usize, String) {
        self.0.lock().expect("no test panics while it holds it").clone()
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Function<'a>(&'a mut String);
        impl tracing::field::Visit for Function<'_> {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                if field.name() == "function" {
                    *self.0 = format!("{value:?}");
                }
            }
        }
        let mut warnings = self.0.lock().expect("no test panics while it holds it");
        warnings.0 += 1;
        event.record(&mut Function(&mut warnings.1));
    }

    fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _span: &tracing::span::Id, _follows: &tracing::span::Id) {}

    fn enter(&self, _span: &tracing::span::Id) {}

    fn exit(&self, _span: &tracing::span::Id) {}
}
