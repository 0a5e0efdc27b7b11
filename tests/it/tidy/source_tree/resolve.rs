//! Follows a name to the file that defines what it means.

use super::{Arrows, Module, Reach, SourceTree};

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// An item of that module.
    Item(usize, String),
}

/// Names that are being followed already: imports may go in circles.
type Trail = Vec<(usize, String)>;

impl SourceTree {
    /// Which file uses which, over all packages, tests left out. What a file only hands on by `pub use` it does not use;
    /// and who imports it from there uses the file that defines it. Neither is a module used by who only imports or
    /// declares it, but what is named in it.
    #[must_use]
    pub(crate) fn arrows(&self) -> Arrows {
        let mut arrows = Arrows::new();
        for (place, module) in self.modules.iter().enumerate().filter(|(_, module)| !module.test) {
            let imports =
                module.imports.iter().filter(|import| !import.test && import.reach == Reach::Private);
            let named = imports.filter(|import| import.name != "*").map(|import| &import.path);
            let mentions =
                module.mentions.iter().filter(|mention| !mention.test).map(|mention| &mention.path);
            for path in named.chain(mentions) {
                for target in self.follow(place, path, &mut Trail::new()) {
                    let Target::Item(home, name) = target else { continue };
                    let home = &self.modules[home].file;
                    if *home != module.file {
                        arrows
                            .entry(module.file.clone())
                            .or_default()
                            .entry(home.clone())
                            .or_default()
                            .insert(name);
                    }
                }
            }
        }
        arrows
    }

    fn follow(&self, from: usize, path: &[String], trail: &mut Trail) -> Vec<Target> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let mut found = match first.as_str() {
            "crate" => vec![Target::Module(self.modules[from].root)],
            "self" => vec![Target::Module(from)],
            "super" => self.modules[from].parent.map(Target::Module).into_iter().collect(),
            "" => return rest.first().map_or_else(Vec::new, |name| self.outside(name, &rest[1..], trail)),
            name => {
                let here = self.lookup(from, name, trail);
                if here.is_empty() {
                    self.libraries.get(name).copied().map(Target::Module).into_iter().collect()
                } else {
                    here
                }
            }
        };
        for name in rest {
            found = self.step(&found, name, trail);
        }
        found
    }

    fn outside(&self, name: &str, rest: &[String], trail: &mut Trail) -> Vec<Target> {
        let mut found: Vec<_> = self.libraries.get(name).copied().map(Target::Module).into_iter().collect();
        for name in rest {
            found = self.step(&found, name, trail);
        }
        found
    }

    fn step(&self, found: &[Target], name: &str, trail: &mut Trail) -> Vec<Target> {
        // `module::name` where an item has the name of the module too: the module has what comes next.
        let modules = found.iter().filter(|target| matches!(target, Target::Module(_))).count();
        let mut next = Vec::new();
        for target in found {
            match target {
                Target::Module(module) if name == "super" => {
                    next.extend(self.modules[*module].parent.map(Target::Module));
                }
                Target::Module(module) => next.extend(self.lookup(*module, name, trail)),
                // A variant, or something associated.
                Target::Item(..) if modules == 0 => next.push(target.clone()),
                Target::Item(..) => {}
            }
        }
        next.dedup();
        next
    }

    /// What a name means in a module.
    fn lookup(&self, place: usize, name: &str, trail: &mut Trail) -> Vec<Target> {
        let step = (place, name.to_owned());
        if trail.contains(&step) {
            return Vec::new();
        }
        trail.push(step);
        let found = self.named(place, name, trail);
        trail.pop();
        found
    }

    fn named(&self, place: usize, name: &str, trail: &mut Trail) -> Vec<Target> {
        let module = &self.modules[place];
        let mut found: Vec<_> = module.children.get(name).copied().map(Target::Module).into_iter().collect();
        if module.definitions.iter().any(|definition| definition.name == name) {
            found.push(Target::Item(place, name.to_owned()));
        }
        for import in module.imports.iter().filter(|import| import.name == name) {
            found.extend(self.follow(place, &import.path, trail));
        }
        if found.is_empty() {
            found = self.by_glob(place, module, name, trail);
        }
        found
    }

    fn by_glob(&self, place: usize, module: &Module, name: &str, trail: &mut Trail) -> Vec<Target> {
        let mut found = Vec::new();
        for glob in module.imports.iter().filter(|import| import.name == "*") {
            for target in self.follow(place, &glob.path, trail) {
                match target {
                    Target::Module(other) => found.extend(self.lookup(other, name, trail)),
                    Target::Item(home, item) => {
                        let mut known = self.modules[home].definitions.iter();
                        if known.any(|known| {
                            known.name == item && known.variants.iter().any(|variant| variant == name)
                        }) {
                            found.push(Target::Item(home, item));
                        }
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        fs,
    };

    use super::*;

    const WORKSPACE: &str = "[workspace]\nmembers = [\"house\"]";
    const PACKAGE: &str = "[package]\nname = \"house\"";

    /// Arrows of a package of these files, as `from to: names`.
    fn arrows(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let all = [&[("../Cargo.toml", WORKSPACE), ("Cargo.toml", PACKAGE)], files].concat();
        for (path, text) in all {
            let path = folder.path().join("house").join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, text).expect("written");
        }
        let short = |file: &str| file.trim_start_matches("house/src/").to_owned();
        let told = |(from, uses): (&String, &BTreeMap<String, BTreeSet<String>>)| {
            let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
            uses.iter()
                .map(|(to, used)| format!("{} {}: {}", short(from), short(to), names(used)))
                .collect::<Vec<_>>()
        };
        SourceTree::at(folder.path().to_owned()).arrows().iter().flat_map(told).collect()
    }

    fn check(user: &str, expected: &[&str]) {
        let files = [
            ("src/lib.rs", "mod user; mod room; mod cellar;"),
            ("src/user.rs", user),
            (
                "src/room/mod.rs",
                "mod door; mod window; pub use self::door::Door as Gate; pub use window::*; pub fn open() {}",
            ),
            ("src/room/door.rs", "pub struct Door; impl Door { pub fn new() -> Self { Self } }"),
            ("src/room/window.rs", "pub enum Window { Shut, Ajar } pub const PANES: u8 = 2;"),
            (
                "src/cellar.rs",
                "pub mod shelf { pub struct Jar; } #[macro_export] macro_rules! fill { () => {} }",
            ),
        ];
        assert_eq!(arrows(&files), expected, "{user}");
    }

    #[test]
    fn a_name_leads_through_imports_and_reexports_to_the_file_that_defines_it() {
        let door = "user.rs room/door.rs: Door";
        let window = "user.rs room/window.rs: Window";
        check("use crate::room::Gate;", &[door]);
        check("use super::room::{self, open};", &["user.rs room/mod.rs: open"]);
        check("use crate::room; fn f() -> room::Gate { room::Gate::new() }", &[door]);
        check("fn f() -> Option<crate::room::Window> { None }", &[window]);
        check("use crate::room::*; fn f(_: Window) {}", &[window]);
        check("use crate::room::Window::*; fn f() { let _ = Shut; }", &[window]);
        check("fn f() { println!(\"{}\", super::room::PANES) }", &["user.rs room/window.rs: PANES"]);
        check("use crate::cellar::shelf; fn f(_: shelf::Jar) {}", &["user.rs cellar.rs: Jar"]);
        check("#[derive(Clone)] #[serde(with = \"crate::room::Gate\")] struct S;", &[door]);
    }

    #[test]
    fn what_is_handed_on_imported_for_nothing_or_for_tests_is_no_use() {
        check("pub use crate::room::Gate;", &[]);
        check("pub use crate::room::Gate; fn f(_: Gate) {}", &["user.rs room/door.rs: Door"]);
        check("use crate::room;", &[]);
        check("#[cfg(test)] mod tests { use crate::room::Gate; }", &[]);
        check("#[cfg(test)] use crate::room::Gate;", &[]);
        check("struct Door; fn f(_: Door) {}", &[]);
    }
}
