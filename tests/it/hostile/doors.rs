//! The status port under those who hold connections, and files that others have put in the way.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};
use tests::{binary, world::Worker};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::{PATIENCE, QUICK, change, world};

/// Connections that the port once had room for.
const ROOM: usize = 64;

/// Host and port of its pages, once it is connected.
async fn address(worker: &mut Worker) -> Result<String> {
    let address = worker.address().await?.replace("http://", "");
    worker.page_until("/readyz", |page| page.status == 200).await?;
    Ok(address)
}

/// An answer to these bytes on a connection of their own, up to its end.
async fn ask(address: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.context("no answer")??;
    Ok(answer)
}

async fn lives(address: &str) -> Result<()> {
    let answer = ask(address, "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
    ensure!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("alive\n"), "{answer:?}");
    Ok(())
}

/// A connection that asks for much and will read nothing of it.
async fn greedy(address: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(2_048)?;
    let mut stream = socket.connect(address.parse()?).await?;
    stream.write_all(&b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(200)).await?;
    Ok(stream)
}

/// Waits until the other side has closed, whatever it has said before.
async fn closed(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; 4_096];
    // A reset ends a connection as well.
    let end = async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} };
    timeout(PATIENCE, end).await.context("it stays open")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_and_never_reads_does_not_keep_others_from_being_answered() -> Result<()> {
    let world = world(0).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    let address = address(&mut worker).await?;
    let mut held = Vec::new();
    for _ in 0..ROOM {
        // Some are cut while they still ask.
        held.extend(greedy(&address).await.ok());
    }
    lives(&address).await?;
    let silent: Vec<_> =
        futures_util::future::try_join_all((0..ROOM).map(|_| TcpStream::connect(&address))).await?;
    lives(&address).await?;
    let mut slow = Vec::new();
    for _ in 0..ROOM {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n").await?;
        slow.push(stream);
    }
    lives(&address).await?;
    // The oldest went, although they never ended by themselves.
    closed(held.swap_remove(0)).await?;
    drop((held, silent, slow));
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_connections_one_after_the_other_leave_the_port_as_it_was() -> Result<()> {
    const TASKS: usize = 20;
    const EACH: usize = 500;
    let world = world(1).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    let address = address(&mut worker).await?;
    let flood = (0..TASKS).map(|_| {
        let address = address.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
                // Nothing is left of it on this side, or the ports of this machine would be used up.
                drop(stream.set_zero_linger());
                drop(stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await);
            }
        })
    });
    let flood = futures_util::future::join_all(flood);
    tokio::pin!(flood);
    let mut answered = 0;
    loop {
        tokio::select! {
            ended = &mut flood => {
                ended.into_iter().collect::<Result<Vec<_>, _>>()?;
                break;
            }
            alive = lives(&address) => {
                alive?;
                answered += 1;
            }
        }
    }
    lives(&address).await?;
    assert!(answered > 0, "nobody was answered meanwhile");
    world.post_changes(&[change(1, 1, "Ada")]).await?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_several_scrapes_and_not_without_end() -> Result<()> {
    let world = world(0).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    let address = address(&mut worker).await?;
    let mut stream = TcpStream::connect(&address).await?;
    let mut answers = 0;
    loop {
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"alive\n") {
            answer.push(stream.read_u8().await?);
        }
        answers += 1;
        if String::from_utf8(answer)?.contains("connection: close\r\n") {
            break;
        }
    }
    assert!((3..=64).contains(&answers), "{answers}");
    closed(stream).await?;
    worker.stop().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_name_reads_nothing_of_a_worker_on_this_machine() -> Result<()> {
    let world = world(0).await?;
    let mut worker = world.start_worker(&world.layered(&[QUICK])?)?;
    let here = address(&mut worker).await?;
    let by = |host: &str| format!("GET /status.json HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    for host in ["evil.test", "evil.test:9464", "localhost.evil.test", "127.0.0.1.evil.test"] {
        let answer = ask(&here, &by(host)).await?;
        assert!(answer.starts_with("HTTP/1.1 421 ") && !answer.contains("\"state\""), "{answer}");
    }
    for host in ["localhost", "localhost:9464", "127.0.0.1", &here, "[::1]:1"] {
        let answer = ask(&here, &by(host)).await?;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"state\""), "{answer}");
    }
    worker.stop().await?;

    // A pod listens on all its addresses, and is asked by one of them.
    let open = world.layered(&[QUICK, "http.listen = \"0.0.0.0:0\""])?;
    let mut worker = world.start_worker(&open)?;
    let there = address(&mut worker).await?.replace("0.0.0.0", "127.0.0.1");
    assert!(ask(&there, &by("10.0.0.7:9464")).await?.starts_with("HTTP/1.1 200 "));
    worker.stop().await?;
    Ok(())
}

/// Runs `dead-letters` in a folder; whether it went well, and what it said.
async fn dead_letters(settings: &Path, folder: &Path, arguments: &str) -> Result<(bool, String)> {
    let mut command = binary::command()?;
    command.arg("dead-letters").args(arguments.split(' ')).arg("--config").arg(settings);
    let output = command.current_dir(folder).kill_on_drop(true).output();
    let output = timeout(PATIENCE, output).await.context("it waits for something")??;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_destroys_no_file_of_somebody_else_and_waits_for_no_pipe() -> Result<()> {
    let world = world(0).await?;
    // Nobody has this user.
    world.post_changes(&[change(1, 1, "Ada")]).await?;
    let settings = world.layered(&[QUICK, "retry.not_found_grace = \"10ms\""])?;
    let worker = world.start_worker(&settings)?;
    world.drained(PATIENCE).await?;
    worker.stop().await?;
    let folder = world.folder().join("exports");
    fs::create_dir(&folder)?;
    let at = |name: &str| folder.join(name);
    let private = |name: &str, text: &str, mode: u32| -> Result<()> {
        fs::write(at(name), text)?;
        Ok(fs::set_permissions(at(name), fs::Permissions::from_mode(mode))?)
    };
    private("victim", r#"{"victim":"no end of a line here"}"#, 0o600)?;
    private("readable", "", 0o644)?;
    std::os::unix::fs::symlink(at("victim"), at("link"))?;
    fs::hard_link(at("victim"), at("second"))?;
    // Apple's systems have no such call; a socket is as little a file.
    #[cfg(not(target_vendor = "apple"))]
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
    #[cfg(target_vendor = "apple")]
    drop(std::os::unix::net::UnixListener::bind(at("pipe"))?);
    for (name, why) in [
        ("second", "has another name too"),
        ("readable", "may be read by others (its mode is 644)"),
        ("link", "no ordinary file"),
        ("pipe", "no ordinary file"),
        ("/dev/null", "no ordinary file"),
    ] {
        for command in ["export NAME", "purge --reason UserNotFound --yes --export NAME"] {
            let (well, said) = dead_letters(&settings, &folder, &command.replace("NAME", name)).await?;
            assert!(!well && said.contains(why), "{name}: {said}");
        }
    }
    fs::remove_file(at("second"))?;
    let (well, said) = dead_letters(&settings, &folder, "export victim").await?;
    assert!(!well && said.contains("is no file of exported messages; it stays as it is"), "{said}");
    assert_eq!(fs::read_to_string(at("victim"))?, r#"{"victim":"no end of a line here"}"#);

    // Nothing was removed for want of a file, and a file that purge names itself is new and private.
    let (well, said) = dead_letters(&settings, &folder, "purge --reason UserNotFound --yes").await?;
    assert!(well && said.contains("1 dead letter written to dead-letters-"), "{said}");
    let named: Vec<_> = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .filter(|path: &Result<_>| path.as_ref().is_ok_and(|path| path.extension().is_some()))
        .collect::<Result<_>>()?;
    let [kept] = &*named else { panic!("{named:?}") };
    assert!(said.contains(kept.file_name().and_then(|name| name.to_str()).context("a name")?), "{said}");
    assert_eq!(fs::metadata(kept)?.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_to_string(kept)?.lines().count(), 1);
    Ok(())
}
