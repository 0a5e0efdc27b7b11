//! `contactsync completions` and `contactsync man`: what shells and `man` know of the command line.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;
use shared::shown::Shown;

use super::{print_words, terminal::print_script};

/// Options of `completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync completions bash > /etc/bash_completion.d/contactsync
  contactsync completions zsh  > ~/.zfunc/_contactsync
  contactsync completions fish > ~/.config/fish/completions/contactsync.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

/// Options of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  contactsync man /usr/local/share/man/man1     a page for each command
  contactsync man | man -l -                    the page of the whole")]
pub struct Pages {
    /// The folder to write the pages to; it is made if it is not there. Without it the page of the whole is printed.
    folder: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &Completions, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "contactsync", &mut script);
    print_script(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes one page for the whole and one for each command.
pub(crate) fn pages(args: &Pages, mut command: Command) -> anyhow::Result<ExitCode> {
    command.build();
    let Some(folder) = &args.folder else {
        print_script(&text(&command, "contactsync")?)?;
        return Ok(ExitCode::SUCCESS);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let written = page(&command, "contactsync", folder)
        .with_context(|| format!("cannot write to {}", folder.display()))?;
    print_words(&format!("Wrote {written} pages to {}.\n", Shown(folder.display())))?;
    Ok(ExitCode::SUCCESS)
}

fn text(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    Man::new(command.clone().display_name(name)).title(name).render(&mut text)?;
    Ok(text)
}

fn page(command: &Command, name: &str, folder: &Path) -> io::Result<usize> {
    std::fs::write(folder.join(format!("{name}.1")), text(command, name)?)?;
    let mut written = 1;
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        written += page(inner, &format!("{name}-{}", inner.get_name()), folder)?;
    }
    Ok(written)
}
