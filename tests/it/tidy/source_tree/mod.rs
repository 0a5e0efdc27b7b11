//! The Rust files of the workspace as the compiler sees them: packages, modules, what each defines, and which file
//! uses which. Tests hold the structure of the house against it.
//!
//! Reading order: [`SourceTree::read`] finds packages and their files, `syntax` takes one file apart, `resolve` follows
//! names through imports and re-exports to the file that defines them, [`circles`] finds files that use each other.

mod circles;
mod packages;
mod resolve;
mod syntax;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

pub(crate) use self::circles::circles;
use tests::binary::workspace;

/// All packages of the workspace with all their modules, test modules included.
#[derive(Debug, Default)]
pub(crate) struct SourceTree {
    /// In the order of the workspace's manifest.
    pub(crate) packages: Vec<Package>,
    /// Of all packages; a module is known by its place in this list.
    pub(crate) modules: Vec<Module>,
    /// Where the workspace lies.
    folder: PathBuf,
    /// The root module of each library, by the name that code uses.
    libraries: BTreeMap<String, usize>,
}

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    /// As the manifest spells it.
    pub(crate) name: String,
    /// Relative to the workspace.
    pub(crate) folder: String,
    /// `Cargo.toml`, parsed.
    pub(crate) manifest: toml::Table,
}

/// A module: a file, or a `mod x { … }` within one.
#[derive(Debug)]
pub(crate) struct Module {
    /// Index of the package.
    pub(crate) package: usize,
    /// The crate's root module; `crate::` starts there.
    root: usize,
    parent: Option<usize>,
    /// Empty for the root of a crate.
    pub(crate) name: String,
    /// Relative to the workspace, with `/`.
    pub(crate) file: String,
    /// Whether it stands in the file of its parent.
    pub(crate) inline: bool,
    /// Whether only tests see it: by `#[cfg(test)]`, here or above.
    pub(crate) test: bool,
    /// What the `#[path]` attribute says.
    pub(crate) placed: Option<String>,
    /// Declared modules by name.
    children: BTreeMap<String, usize>,
    /// Items of this module.
    pub(crate) definitions: Vec<Definition>,
    /// Every name that `use` brings in, and every `*`.
    pub(crate) imports: Vec<Import>,
    /// Paths in code, single names included.
    pub(crate) mentions: Vec<Mention>,
}

/// An item that other modules could name.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its name.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) line: usize,
    /// What it is.
    pub(crate) kind: Kind,
    /// Who sees it.
    pub(crate) reach: Reach,
    /// Names of the variants, if it is an enum: a glob can import them.
    variants: Vec<String>,
    /// Whether only tests see it.
    pub(crate) test: bool,
}

/// Kinds of items, as far as the rules tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Struct, enum, union, trait or alias.
    Type,
    /// Function, constant, static or macro.
    Value,
}

/// Visibility of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// The module alone.
    Private,
    /// `pub(super)` or `pub(in …)`.
    Part,
    /// `pub(crate)`.
    Crate,
    /// `pub`.
    Everybody,
}

/// One name of a `use`.
#[derive(Debug)]
pub(crate) struct Import {
    /// The whole path; for a glob, without the `*`.
    pub(crate) path: Vec<String>,
    /// The name it gets here; `*` for a glob.
    pub(crate) name: String,
    /// Who sees it: with `pub use` a module hands a name on.
    pub(crate) reach: Reach,
    /// The body that it stands in, or 0: the module itself. A `use` with attributes counts as a body of its own.
    pub(crate) body: usize,
    /// Where it stands.
    pub(crate) line: usize,
    /// Whether only tests see it.
    pub(crate) test: bool,
}

/// A path in code.
#[derive(Debug)]
pub(crate) struct Mention {
    /// Its segments without generics; empty first segment: it begins with `::`.
    pub(crate) path: Vec<String>,
    /// Whether only tests see it.
    pub(crate) test: bool,
}

/// Which file uses which, and by what names: `arrows[from][to]`.
pub(crate) type Arrows = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl SourceTree {
    /// Parses every file of ours that Cargo would compile.
    #[must_use]
    pub(crate) fn read() -> Self {
        Self::at(workspace().to_owned())
    }

    /// The same for the workspace in that folder.
    ///
    /// # Panics
    /// If a manifest or a file cannot be read or parsed: then the tests that ask would prove nothing.
    #[must_use]
    pub(crate) fn at(folder: PathBuf) -> Self {
        let mut tree = Self { folder, ..Self::default() };
        packages::read(&mut tree);
        tree
    }

    /// The package of this name.
    ///
    /// # Panics
    /// If the workspace has none.
    #[must_use]
    pub(crate) fn package(&self, name: &str) -> usize {
        let found = self.packages.iter().position(|package| package.name == name);
        found.unwrap_or_else(|| panic!("the workspace has no package {name}"))
    }

    /// The modules of a package that its product consists of: no tests, no benchmarks, no examples, no build script.
    pub(crate) fn product(&self, package: usize) -> impl Iterator<Item = &Module> {
        let sources = format!("{}/src/", self.packages[package].folder);
        let ours = self.modules.iter().filter(move |module| module.package == package);
        ours.filter(move |module| !module.test && module.file.starts_with(&sources))
    }

    /// The module that declares this one.
    #[must_use]
    pub(crate) fn parent(&self, module: &Module) -> Option<&Module> {
        module.parent.map(|parent| &self.modules[parent])
    }

    /// Whether the workspace has such a package.
    #[must_use]
    pub(crate) fn has_package(&self, name: &str) -> bool {
        self.packages.iter().any(|package| package.name == name)
    }
}
