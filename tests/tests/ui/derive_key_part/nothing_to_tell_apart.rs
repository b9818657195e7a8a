use cache_runtime::KeyPart;

#[derive(KeyPart)]
pub struct Unit;

#[derive(KeyPart)]
pub enum Never {}

fn main() {}
