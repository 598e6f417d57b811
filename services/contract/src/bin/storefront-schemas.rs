//! Writes the events' JSON Schemas into a folder: `storefront-schemas services/contract/schemas`.

use std::{env, fs, io, path::PathBuf};

use storefront_contract::schemas::{file_name, schemas};

fn main() -> io::Result<()> {
    let folder: PathBuf = env::args_os().nth(1).unwrap_or_else(|| ".".into()).into();
    for (topic, schema) in schemas() {
        let text = serde_json::to_string_pretty(&schema)?;
        fs::write(folder.join(file_name(topic)), format!("{text}\n"))?;
    }
    Ok(())
}
