use cache_runtime::KeyPart;

#[derive(KeyPart)]
pub union Id {
    pub small: u32,
    pub large: u64,
}

fn main() {}
