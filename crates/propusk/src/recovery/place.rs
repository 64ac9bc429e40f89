//! Which database, and the key-encryption key that it will be used with: as `up` or `serve authority` finds them.

use std::path::PathBuf;

use propusk_core::keys::Kek;

use crate::cli::DataArgs;
use crate::config::{Config, Sources};
use crate::data;
use crate::exit::Failure;
use crate::serve;

/// A database and how it will be served.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) database: PathBuf,
    pub(super) config: Config,
    /// Where a key-encryption key was made, for there was none.
    pub(super) new_kek: Option<PathBuf>,
}

impl Place {
    /// A data directory counts over `database.path`, and that over the default directory. A directory that is not there
    /// is made, with its key-encryption key.
    pub(super) fn find(args: &DataArgs) -> Result<(Self, Kek), Failure> {
        let place = Self::named(args)?;
        let kek = serve::kek(&place.config)?;
        Ok((place, kek))
    }

    fn named(args: &DataArgs) -> Result<Self, Failure> {
        let sources = Sources::of_process(args.config.config.clone(), args.config.set.clone());
        let mut config = Config::load(&sources)?;
        let directory = match (&args.data, &config.database_path) {
            (Some(directory), _) => directory.clone(),
            (None, Some(database)) => {
                return Ok(Self { database: database.clone(), config, new_kek: None });
            }
            (None, None) => data::default_path()?,
        };
        let directory = data::prepare(&directory)?;
        let mut new_kek = None;
        if config.kek_file.is_none() && std::env::var_os(serve::KEK_VARIABLE).is_none() {
            let (path, is_new) = data::kek_file(&directory)?;
            new_kek = is_new.then(|| path.clone());
            config.kek_file = Some(path);
        }
        Ok(Self { database: data::authority_database(&directory), config, new_kek })
    }
}
