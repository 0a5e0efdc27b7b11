//! `cargo emulator`: the local Service Bus on this machine, for development and for other languages' tests.

use emulator::bus::{Options, ServiceBus};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the connection string is for people to paste")]
async fn main() -> anyhow::Result<()> {
    let queue = emulator::broker::EntityOptions::default();
    let session = emulator::broker::EntityOptions { requires_session: true, ..queue.clone() };
    let short = emulator::broker::EntityOptions {
        lock_duration: std::time::Duration::from_secs(5),
        max_delivery_count: 3,
        ..queue.clone()
    };
    let options = Options::default()
        .port(5672)
        .queue_with("contacts", queue)
        .queue_with("sessions", session)
        .queue_with("short", short);
    let bus = ServiceBus::start(options).await?;
    println!("{}", bus.connection_string());
    tokio::signal::ctrl_c().await?;
    bus.stop().await;
    Ok(())
}
