use cache_runtime::KeyPart;

#[derive(KeyPart)]
#[key_part(krate = cache_runtime)]
pub struct Id(pub u64);

fn main() {}
