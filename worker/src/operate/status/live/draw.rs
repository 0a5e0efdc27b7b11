//! One picture of the live page. It fits into 80 by 24.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::{Alignment, Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::{Line, Span},
    widgets::{Block, BorderType, LineGauge, Padding, Paragraph, Sparkline, Wrap},
};

use super::trail::Trail;
use crate::{
    duration,
    operate::status::{Snapshot, text, units},
    settings::check::Caution,
    status_page::StatusPage,
};

/// Height of the two panels with figures, their frames included.
const FIGURES: u16 = 10;
/// Height of the two panels below them that still shows something.
const GRAPHS: u16 = 5;
/// So many lines of words there are on the lowest terminal.
const FEWEST_WORDS: u16 = 4;

pub(super) fn view(frame: &mut Frame<'_>, snapshot: Option<&Snapshot>, trail: &Trail, every: Duration) {
    let Some(snapshot) = snapshot else {
        let waiting = Paragraph::new("reading the queue …").alignment(Alignment::Center);
        frame.render_widget(waiting, frame.area());
        return;
    };
    let notes = notes(snapshot);
    let (width, height) = (frame.area().width.max(1), frame.area().height);
    let wanted = notes.iter().map(|note| lines(note, width)).fold(0, u16::saturating_add);
    let room = height.saturating_sub(2 + FIGURES + GRAPHS).max(FEWEST_WORDS);
    let [title, figures, graphs, told, keys] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(FIGURES),
        Constraint::Min(GRAPHS),
        Constraint::Length(wanted.min(room)),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    draw_title(frame, title, snapshot);
    let [left, right] = halves(figures);
    draw_queue(frame, left, snapshot);
    draw_worker(frame, right, snapshot);
    let [left, right] = halves(graphs);
    draw_depth(frame, left, trail);
    draw_reasons(frame, right, snapshot);
    let notes: Vec<_> = notes.into_iter().map(|note| Line::from(note).yellow()).collect();
    frame.render_widget(Paragraph::new(notes).wrap(Wrap { trim: true }), told);
    let more = if wanted > room { "   … contactsync status says it all" } else { "" };
    let help = format!(" q quits   read every {}{more}", duration::rough(every));
    frame.render_widget(Paragraph::new(help).dim(), keys);
}

/// Lines that a text takes, with some room for words that do not fit.
fn lines(text: &str, width: u16) -> u16 {
    let length = u16::try_from(text.chars().count()).unwrap_or(u16::MAX);
    length.saturating_add(length / 10).div_ceil(width).max(1)
}

fn halves(area: Rect) -> [Rect; 2] {
    Layout::horizontal([Constraint::Ratio(1, 2), Constraint::Ratio(1, 2)]).areas(area)
}

fn panel<'a>(title: impl Into<Line<'a>>) -> Block<'a> {
    Block::bordered().border_type(BorderType::Rounded).padding(Padding::horizontal(1)).title(title.into())
}

fn draw_title(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let time = snapshot.reading.at.to_string();
    let time = time.get(11..19).unwrap_or_default();
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(10)]).areas(area);
    frame.render_widget(Line::from(format!(" {}", snapshot.queue)).bold(), left);
    frame.render_widget(Line::from(format!("{time}Z ")).alignment(Alignment::Right), right);
}

/// What has to be said beside the figures.
fn notes(snapshot: &Snapshot) -> Vec<String> {
    let mut notes: Vec<_> = text::remark(&snapshot.reading).into_iter().collect();
    notes.extend(snapshot.cautions.iter().map(Caution::text));
    match &snapshot.worker {
        Ok(page) => notes.extend(text::complaints(page)),
        Err(why) => notes.push(text::silence(snapshot.worker_url.as_deref(), why)),
    }
    notes
}

/// Names to the left, values to the right.
fn draw_rows(frame: &mut Frame<'_>, area: Rect, rows: Vec<(String, Span<'_>)>) {
    let width = usize::from(area.width);
    let lines: Vec<_> = rows
        .into_iter()
        .map(|(name, value)| {
            let gap = width.saturating_sub(name.chars().count() + value.width()).max(1);
            Line::from(vec![Span::from(name).dim(), " ".repeat(gap).into(), value])
        })
        .collect();
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_queue(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let block = panel(" queue ");
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let dead = snapshot.reading.counts.as_ref().ok().and_then(|counts| counts.dead_letter);
    let styled = |name: &'static str, value: String| {
        let style = match name {
            _ if value == "unknown" => Style::new().fg(Color::Yellow),
            "dead letters" if dead.is_some_and(|dead| dead > 0) => {
                Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
            }
            _ => Style::new().add_modifier(Modifier::BOLD),
        };
        (name.to_owned(), Span::styled(value, style))
    };
    let rows = text::queue_rows(&snapshot.reading);
    draw_rows(frame, inside, rows.into_iter().map(|(name, value)| styled(name, value)).collect());
}

fn draw_worker(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let title = snapshot
        .worker
        .as_ref()
        .map_or_else(|_| " worker ".to_owned(), |page| format!(" worker {} ", page.version));
    let block = panel(title);
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let Ok(page) = &snapshot.worker else {
        frame.render_widget(Paragraph::new("no worker answers").yellow(), inside);
        return;
    };
    let [budget, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inside);
    draw_budget(frame, budget, page);
    let rows = text::worker_rows(page).into_iter().filter(|(name, _)| *name != "write budget");
    let rows = rows.map(|(name, value)| {
        let style = if name == "state" && !page.ready {
            Style::new().fg(Color::Red).add_modifier(Modifier::BOLD)
        } else {
            Style::new().add_modifier(Modifier::BOLD)
        };
        (name.to_owned(), Span::styled(value, style))
    });
    draw_rows(frame, rest, rows.collect());
}

fn draw_budget(frame: &mut Frame<'_>, area: Rect, page: &StatusPage) {
    let ratio = page.writes.budget_ratio.clamp(0.0, 1.0);
    let color = if ratio < 0.5 { Color::Yellow } else { Color::Green };
    let gauge = LineGauge::default()
        .ratio(ratio)
        .label(format!("budget {}", units::rate(page.writes.budget_per_second)))
        .filled_style(Style::new().fg(color))
        .unfilled_style(Style::new().fg(Color::DarkGray));
    frame.render_widget(gauge, area);
}

fn draw_depth(frame: &mut Frame<'_>, area: Rect, trail: &Trail) {
    let columns = usize::from(area.width.saturating_sub(4));
    let (values, covered) = trail.columns(columns);
    let most = values.iter().flatten().max().copied();
    let title = match most {
        Some(most) => format!(" depth over {}, up to {} ", duration::rough(covered), units::count(most)),
        None => " depth ".to_owned(),
    };
    let graph = Sparkline::default()
        .block(panel(title))
        .data(values)
        .max(most.unwrap_or_default().max(1))
        .absent_value_symbol("·")
        .absent_value_style(Style::new().fg(Color::DarkGray))
        .style(Style::new().fg(Color::Cyan));
    frame.render_widget(graph, area);
}

fn draw_reasons(frame: &mut Frame<'_>, area: Rect, snapshot: &Snapshot) {
    let reasons = &snapshot.reading.reasons;
    let block =
        panel(if reasons.more { " dead letters by reason, the first " } else { " dead letters by reason " });
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let mut seen: Vec<_> = reasons.seen.iter().collect();
    seen.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rows = seen.into_iter().take(usize::from(inside.height));
    draw_rows(
        frame,
        inside,
        rows.map(|(reason, count)| (reason.to_string(), Span::from(units::count(*count)).red())).collect(),
    );
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};
    use servicebus::QueueCounts;

    use super::*;
    use crate::operate::status::text::tests::{snapshot, unknown};

    fn picture(snapshot: Option<&Snapshot>, width: u16, height: u16) -> String {
        let mut trail = Trail::default();
        if let Some(snapshot) = snapshot {
            trail.add(snapshot);
        }
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
        terminal.draw(|frame| view(frame, snapshot, &trail, Duration::from_secs(5))).expect("a picture");
        terminal.backend().to_string()
    }

    #[test]
    fn everything_fits_into_80_by_24() {
        let known = QueueCounts { active: Some(1_204), dead_letter: Some(13), ..QueueCounts::default() };
        let picture = picture(Some(&snapshot(Ok(known))), 80, 24);
        for expected in [
            "1,204",
            "UserLinkInvalid",
            "paused, not ready",
            "budget 9.8/s",
            "depth over 0s, up to 1,204",
            "08:00:00Z",
            "make a new one",
            "locks lost",
            "q quits",
        ] {
            assert!(picture.contains(expected), "{expected} is missing:\n{picture}");
        }
    }

    #[test]
    fn words_take_the_room_there_is_and_what_is_cut_is_said_to_be() {
        let mut many = snapshot(Ok(QueueCounts::default()));
        let Ok(page) = &mut many.worker else { panic!("there is a worker") };
        page.checks[0].says = Some("it cannot be had ".repeat(40));
        let (low, high) = (picture(Some(&many), 80, 24), picture(Some(&many), 80, 40));
        assert!(low.contains("… contactsync status says it all") && !low.contains("in 40s"), "{low}");
        assert!(high.contains("in 40s") && !high.contains("says it all"), "{high}");
    }

    #[test]
    fn an_unknown_depth_is_a_gap_and_no_bar() {
        let picture = picture(Some(&snapshot(unknown())), 80, 24);
        assert!(picture.contains("unknown") && picture.contains("····"), "{picture}");
        assert!(!picture.contains('█'), "{picture}");
    }

    #[test]
    fn no_terminal_is_too_small_to_draw_on() {
        let snapshot = snapshot(unknown());
        for (width, height) in [(1, 1), (5, 3), (20, 10), (300, 100)] {
            picture(Some(&snapshot), width, height);
            picture(None, width, height);
        }
    }
}
