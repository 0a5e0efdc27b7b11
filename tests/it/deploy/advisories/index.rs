//! Whether a locked package has a weakness that is known to `RustSec`, by an index of their database
//! (`deploy/advisories/index.py` makes it).

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, ensure};
use jiff::{SignedDuration, Timestamp};
use semver::{Version, VersionReq};
use serde::Deserialize;
use toml::Table;

/// An index that is older says little about today.
const OLD: SignedDuration = SignedDuration::from_hours(24 * 90);

/// What `RustSec` knew at some time.
#[derive(Debug)]
pub(crate) struct Index {
    /// Which state of the database it was made of.
    pub(crate) commit: String,
    /// When that was.
    pub(crate) as_of: Timestamp,
    advisories: BTreeMap<String, Vec<Advisory>>,
}

#[derive(Deserialize)]
struct Head {
    commit: String,
    as_of: String,
    advisories: usize,
}

/// An advisory about some versions of a package.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Advisory {
    /// Its id.
    pub(crate) id: String,
    /// The package.
    pub(crate) package: String,
    /// Versions that have it mended.
    pub(crate) patched: Vec<String>,
    /// Versions that never had it.
    pub(crate) unaffected: Vec<String>,
    /// What it is, if it is no vulnerability: `unmaintained`, `unsound` or `notice`.
    pub(crate) informational: Option<String>,
    /// When it was taken back.
    pub(crate) withdrawn: Option<String>,
    /// Where more is written.
    pub(crate) url: Option<String>,
}

/// A locked package that an advisory is about.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// The version that is locked.
    pub(crate) version: Version,
    /// What is known about it.
    pub(crate) advisory: Advisory,
}

/// An advisory that does not count here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ignored {
    /// Its id.
    pub(crate) id: String,
    /// Why it does not count.
    pub(crate) reason: String,
}

/// What was found, and what is done about it.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Packages that must be updated.
    pub(crate) affected: Vec<Finding>,
    /// Packages that one should know something about.
    pub(crate) notices: Vec<Finding>,
    /// Advisories that are ignored although they are about nothing that is locked.
    pub(crate) needless: Vec<String>,
}

impl Index {
    /// Reads the lines of an index. One that breaks off is refused.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut lines = text.lines();
        let head: Head = serde_json::from_str(lines.next().unwrap_or_default()).context("the first line")?;
        let mut advisories: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (number, line) in lines.enumerate() {
            let advisory: Advisory =
                serde_json::from_str(line).with_context(|| format!("line {} of the index", number + 2))?;
            advisories.entry(advisory.package.clone()).or_default().push(advisory);
        }
        let found: usize = advisories.values().map(Vec::len).sum();
        ensure!(found == head.advisories, "the index has {found} advisories of {}", head.advisories);
        let as_of = head.as_of.parse().context("the date of the index")?;
        Ok(Self { commit: head.commit, as_of, advisories })
    }

    /// One line on how much the index is worth at a time.
    #[must_use]
    pub(crate) fn age(&self, now: Timestamp) -> String {
        let days = now.duration_since(self.as_of).as_hours() / 24;
        let known: usize = self.advisories.values().map(Vec::len).sum();
        let warning = if now.duration_since(self.as_of) > OLD {
            "; WARNING: it is old, make it anew by deploy/advisories/index.py"
        } else {
            ""
        };
        let commit = &self.commit[..self.commit.floor_char_boundary(12)];
        format!("{known} advisories as of {} ({days} days ago, {commit}){warning}", self.as_of.strftime("%F"))
    }

    /// Holds a lock file against the index.
    pub(crate) fn judge(&self, lock: &str, ignored: &[Ignored]) -> anyhow::Result<Verdict> {
        let mut verdict = Verdict::default();
        let mut used = Vec::new();
        for (name, version) in locked(lock)? {
            for advisory in self.advisories.get(&name).into_iter().flatten() {
                if !advisory.is_about(&version)? {
                    continue;
                }
                used.push(advisory.id.clone());
                let finding = Finding { version: version.clone(), advisory: advisory.clone() };
                if advisory.informational.as_deref() == Some("notice") {
                    verdict.notices.push(finding);
                } else if !ignored.iter().any(|ignored| ignored.id == advisory.id) {
                    verdict.affected.push(finding);
                }
            }
        }
        let needless = ignored.iter().filter(|ignored| !used.contains(&ignored.id));
        verdict.needless = needless.map(|ignored| ignored.id.clone()).collect();
        Ok(verdict)
    }
}

impl Advisory {
    /// Whether it is about a version. One before a release counts as older than the release, and where the ranges
    /// leave it open it counts as affected.
    fn is_about(&self, version: &Version) -> anyhow::Result<bool> {
        if self.withdrawn.is_some() {
            return Ok(false);
        }
        for range in self.patched.iter().chain(&self.unaffected) {
            let range = VersionReq::parse(range).with_context(|| format!("a range of {}", self.id))?;
            if range.matches(version) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Advisory { id, package, patched, informational, url, .. } = &self.advisory;
        let kind = informational.as_deref().unwrap_or("vulnerable");
        write!(f, "{id}: {package} {} is {kind}; ", self.version)?;
        if patched.is_empty() {
            write!(
                f,
                "no version has it mended: replace the package, or ignore the id in deny.toml with a reason"
            )?;
        } else {
            write!(
                f,
                "mended in {}: run `cargo update -p {package}@{}`",
                patched.join(" or "),
                self.version
            )?;
        }
        write!(f, "; {}", url.as_deref().unwrap_or("https://rustsec.org/advisories/"))
    }
}

/// Packages of a lock file that come from a registry.
fn locked(lock: &str) -> anyhow::Result<Vec<(String, Version)>> {
    let lock: Table = lock.parse().context("the lock file")?;
    let packages = lock.get("package").and_then(|packages| packages.as_array()).context("packages")?;
    let mut found = Vec::new();
    for package in packages {
        let field = |name: &str| package.get(name).and_then(|value| value.as_str());
        if field("source").is_some_and(|source| source.starts_with("registry+")) {
            let (name, version) = (field("name").context("a name")?, field("version").context("a version")?);
            found.push((name.to_owned(), version.parse().context("a version")?));
        }
    }
    Ok(found)
}

/// The advisories that `deny.toml` ignores. An id alone does not do.
pub(crate) fn ignored(deny: &str) -> anyhow::Result<Vec<Ignored>> {
    let deny: Table = deny.parse().context("deny.toml")?;
    let list = deny.get("advisories").and_then(|section| section.get("ignore")?.as_array());
    let entries = list.into_iter().flatten().map(|entry| {
        let field = |name: &str| entry.get(name).and_then(|value| value.as_str());
        let reason = field("reason").filter(|reason| !reason.trim().is_empty());
        let reason = reason.with_context(|| format!("{entry} is ignored in deny.toml without a reason"))?;
        Ok(Ignored { id: field("id").context("an id")?.to_owned(), reason: reason.to_owned() })
    });
    entries.collect()
}
