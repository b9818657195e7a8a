//! What must hold for every text and every value, tried on random ones.

mod keys;
mod overlap;
mod patterns;
mod texts;
mod world;
