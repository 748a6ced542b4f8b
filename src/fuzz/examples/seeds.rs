//! Writes what is valid to begin with, a folder for each parser: `seeds FOLDER`.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("expected a folder to write to"));
    };
    for parser in fuzz::PARSERS {
        let folder = folder.join(parser.name);
        fs::create_dir_all(&folder)?;
        for (name, bytes) in (parser.seeds)() {
            fs::write(folder.join(name), bytes)?;
        }
    }
    Ok(())
}
