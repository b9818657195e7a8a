use cache_runtime::KeyPart;

#[derive(KeyPart)]
pub struct Latitude(pub f64);

#[derive(KeyPart)]
pub struct Place {
    pub name: String,
    pub latitude: f32,
}

#[derive(KeyPart)]
pub enum Size {
    Small,
    Exact(f64),
}

fn main() {}
