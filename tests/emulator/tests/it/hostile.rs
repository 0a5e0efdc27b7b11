//! What a sender may put into messages and frames without ending this process.

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    client::{ACCEPTED, Client, Link, REJECTED, TRANSFER, plain},
    dialect::open,
};
use emulator::bus::{Options, ServiceBus};

/// Levels enough to overflow any stack, in a frame.
const LEVELS: usize = 15_000;

/// A section with one entry, nested without end.
fn deep_section(code: u8) -> Vec<u8> {
    let value = [[0x00, 0x53, 0x01].repeat(LEVELS), vec![0x40]].concat();
    let entry = [&[0xa3, 1, b'x'], &value[..]].concat();
    let size = u32::try_from(entry.len() + 4).expect("fits").to_be_bytes();
    [&[0x00, 0x53, code, 0xd1], &size[..], &[0, 0, 0, 2], &entry].concat()
}

#[tokio::test]
async fn a_footer_nested_without_end_is_passed_on_and_other_sections_are_refused() -> Result<()> {
    let bus = ServiceBus::start(open(Options::default())).await?;
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "q")).await?;
    client.attach(&Link::receiver(1, "q")).await?;
    for code in [0x70, 0x72, 0x73, 0x74] {
        let message = [deep_section(code), plain(b"{}")].concat();
        assert_eq!(client.deliver(0, &message).await?.outcome(), REJECTED, "{code:#x}");
    }
    let footer = deep_section(0x78);
    let message = [plain(b"{}"), footer.clone()].concat();
    assert_eq!(client.deliver(0, &message).await?.outcome(), ACCEPTED);
    client.flow(1, 0, 1, false).await?;
    let mut delivered = Vec::new();
    // In as many frames as it takes.
    while !delivered.ends_with(&footer) {
        delivered.extend(client.until(TRANSFER).await?.payload);
    }
    Ok(())
}

#[tokio::test]
async fn a_frame_nested_without_end_costs_its_connection_only() -> Result<()> {
    let bus = ServiceBus::start(open(Options::default())).await?;
    for code in [0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18] {
        let mut stream = TcpStream::connect(bus.address()).await?;
        let performative = [[0x00, 0x53, code].repeat(LEVELS), vec![0x45]].concat();
        let size = u32::try_from(performative.len() + 8)?.to_be_bytes();
        stream.write_all(b"AMQP\x00\x01\x00\x00").await?;
        stream.write_all(&[&size[..], &[2, 0, 0, 0], &performative].concat()).await?;
        stream.read_to_end(&mut Vec::new()).await?;
    }
    let mut client = Client::connect(bus.address()).await?;
    client.attach(&Link::sender(0, "q")).await?;
    assert_eq!(client.deliver(0, &plain(b"{}")).await?.outcome(), ACCEPTED);
    Ok(())
}
