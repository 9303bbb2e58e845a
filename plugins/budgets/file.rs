//! The file as an asset.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::io;

use bevy_asset::io::Reader;
use bevy_asset::{Asset, AssetLoader, LoadContext};
use bevy_reflect::TypePath;

use super::json;
use super::limits::BudgetSet;

/// A `*.budget.json` file: its budgets, or what is wrong with it.
///
/// It is an asset of apps whose [`BudgetPlugin`](super::BudgetPlugin) follows a file.
///
/// A file that cannot be read as budgets loads all the same, as its error, so that whoever follows it learns what is wrong, and
/// learns it once.
#[derive(Asset, TypePath, Debug, Clone)]
pub struct BudgetFile {
    /// The budgets.
    pub budgets: Result<BudgetSet, BudgetFileError>,
}

/// What is wrong with a budget file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetFileError {
    /// The path of the asset.
    pub file: String,
    /// The line, from 1; 0 if the file could not be read at all.
    pub line: usize,
    /// The column where reading stopped, at the end of what is wrong: in bytes, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl BudgetFileError {
    /// The file could not be read.
    pub(super) fn unread(file: String, error: impl fmt::Display) -> Self {
        Self {
            file,
            line: 0,
            column: 0,
            message: error.to_string(),
        }
    }
}

impl fmt::Display for BudgetFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

impl Error for BudgetFileError {}

#[derive(TypePath, Default)]
pub(super) struct BudgetFileLoader;

impl AssetLoader for BudgetFileLoader {
    type Asset = BudgetFile;
    type Settings = ();
    type Error = Infallible;

    async fn load(
        &self,
        reader: &mut dyn Reader,
        _settings: &(),
        context: &mut LoadContext<'_>,
    ) -> Result<BudgetFile, Infallible> {
        let file = context.path().to_string();
        let mut text = Vec::new();
        let read: io::Result<usize> = reader.read_to_end(&mut text).await;
        let budgets = match read {
            Ok(_) => json::read(&text).map_err(|error| BudgetFileError {
                file,
                line: error.line,
                column: error.column,
                message: error.message,
            }),
            Err(error) => Err(BudgetFileError::unread(file, error)),
        };
        Ok(BudgetFile { budgets })
    }

    fn extensions(&self) -> &[&str] {
        &["budget.json"]
    }
}
