//! The live view: a loop on the terminal, fed with snapshots from elsewhere.
//!
//! The loop owns the thread it runs on, because reading keys blocks. Whatever ends it (a key, a signal, an error, a
//! panic), the terminal is as it was before.

mod draw;
mod trail;

use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::sync::watch;
use trail::Trail;

use super::Snapshot;

/// The longest time that a key, a signal or a snapshot waits for its effect.
const TICK: Duration = Duration::from_millis(100);

/// What the view is fed with.
pub(crate) struct Feed {
    /// The newest snapshot.
    pub snapshots: watch::Receiver<Option<Snapshot>>,
    /// Turns true when a signal asks to stop.
    pub stop: watch::Receiver<bool>,
    /// Time between two snapshots.
    pub every: Duration,
}

/// Shows snapshots until a person or a signal has enough.
pub(crate) fn run(mut feed: Feed) -> std::io::Result<()> {
    // Also sees to it that a panic gives the terminal back before it is reported.
    let mut terminal = ratatui::try_init()?;
    let result = watch(&mut terminal, &mut feed);
    ratatui::restore();
    result
}

fn watch(terminal: &mut ratatui::DefaultTerminal, feed: &mut Feed) -> std::io::Result<()> {
    let mut trail = Trail::default();
    let mut dirty = true;
    while !*feed.stop.borrow() {
        if feed.snapshots.has_changed().unwrap_or(false)
            && let Some(snapshot) = &*feed.snapshots.borrow_and_update()
        {
            trail.add(snapshot);
            dirty = true;
        }
        if dirty {
            let snapshot = feed.snapshots.borrow();
            terminal.draw(|frame| draw::view(frame, snapshot.as_ref(), &trail, feed.every))?;
            dirty = false;
        }
        if event::poll(TICK)? {
            match event::read()? {
                Event::Key(key) if ends(key) => return Ok(()),
                Event::Resize(..) => dirty = true,
                _ => {}
            }
        }
    }
    Ok(())
}

fn ends(key: KeyEvent) -> bool {
    let interrupt = key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c');
    key.kind == KeyEventKind::Press
        && (interrupt || matches!(key.code, KeyCode::Char('q' | 'Q') | KeyCode::Esc))
}
