//! The C API as it is: a static library keeps the symbols of a dependency only if it shows them.
pub use wasmtime_c_api::*;
