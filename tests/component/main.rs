//! Makes components.
//!
//!   component-of module IN OUT             of a command of WASI preview 1, by the adapter for that
//!   component-of module IN OUT WIT WORLD   of one that imports of WORLD, too, by its own hand
//!   component-of text IN OUT               of the text format, of a module as well
use std::path::Path;
use std::{env, error, fs, process};

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::{embed_component_metadata, ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

type Result<T> = std::result::Result<T, Box<dyn error::Error>>;

fn embed(module: &mut Vec<u8>, wit: &str, world: &str) -> Result<()> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(Path::new(wit))?;
    let world = resolve.select_world(&[package], Some(world))?;

    Ok(embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)?)
}

fn encode(module: &[u8]) -> Result<Vec<u8>> {
    Ok(ComponentEncoder::default()
        .module(module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER)?
        .validate(true)
        .encode()?)
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["module", from, to, more @ ..] => {
            let mut module = fs::read(from)?;
            match more {
                [] => (),
                [wit, world] => embed(&mut module, wit, world)?,
                _ => return Err("WIT and WORLD come together".into()),
            }
            Ok(fs::write(to, encode(&module)?)?)
        }
        ["text", from, to] => Ok(fs::write(to, wat::parse_file(from)?)?),
        _ => Err("usage: component-of module|text IN OUT [WIT WORLD]".into()),
    }
}

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();

    if let Err(error) = run(&words) {
        eprintln!("component-of: {error}");
        process::exit(1);
    }
}
