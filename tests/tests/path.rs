//! The lab's paths with delay, loss and cuts, proven without the daemon.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use lab::{
    Attempt, Cut, FrameListener, Host, Lab, Path, Way, Wiring,
    forged::{SYN, Segment},
    wait_until,
};

const LIMIT: Duration = Duration::from_secs(10);
const PORT: u16 = 8080;
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// A listener on both families whose connections wait in its backlog.
fn listen(server: &Host) -> Result<TcpListener> {
    server.enter(|| TcpListener::bind(("::", PORT)))?.context("nobody can listen")
}

fn both_families(server: &Host) -> [SocketAddr; 2] {
    [server.service_v4(PORT), server.service_v6(PORT)]
}

#[test]
fn a_round_trip_takes_the_time_that_was_asked_for() -> Result<()> {
    for wiring in [Wiring::InterfacePerHost, Wiring::SingleInterface] {
        let lab = Lab::builder().wiring(wiring).path(Path::with_round_trip(ROUND_TRIP)).build()?;
        let (client, server) = (lab.client(1), lab.server(1));
        let _listener = listen(server)?;
        for service in both_families(server) {
            // The first one waits for ARP and neighbour discovery as well.
            assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected, "{wiring:?} {service}");
            let fastest = (0..5)
                .map(|_| {
                    let begin = Instant::now();
                    assert_eq!(client.connect(None, service, LIMIT)?, Attempt::Connected, "{wiring:?} {service}");
                    Ok(begin.elapsed())
                })
                .collect::<Result<Vec<_>>>()?;
            let fastest = fastest.into_iter().min().unwrap_or_default();
            assert!((ROUND_TRIP..ROUND_TRIP * 3 / 2).contains(&fastest), "{wiring:?} {service}: {fastest:?}");
        }
    }
    Ok(())
}

#[test]
fn a_cut_drops_one_direction_and_leaves_the_other() -> Result<()> {
    let lab = Lab::builder().path(Path::default()).client_path(Path::default()).build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let _listener = listen(server)?;
    let [service, _] = both_families(server);
    let path = lab.server_path(1);
    let tries = |expected: Attempt| -> Result<u64> {
        let arrived = server.frame_listener("eth0", 0x0800)?;
        assert_eq!(client.connect(None, service, Duration::from_millis(500))?, expected);
        Ok(arrived.heard().iter().filter(|frame| frame.get(47) == Some(&SYN)).count() as u64)
    };
    assert_eq!(tries(Attempt::Connected)?, 1);
    for what in [Cut::Port(PORT), Cut::Everything] {
        path.cut(Way::Back, what);
        assert_eq!(tries(Attempt::TimedOut)?, 1, "a SYN arrives though no answer leaves: {what:?}");
        path.mend(Way::Back, what);
        assert!(path.traffic(Way::Back).cut > 0);
        assert_eq!(tries(Attempt::Connected)?, 1);
        let cut = path.traffic(Way::Back).cut;
        path.cut(Way::There, what);
        assert_eq!(tries(Attempt::TimedOut)?, 0, "{what:?}");
        path.mend(Way::There, what);
        assert_eq!(path.traffic(Way::Back).cut, cut, "nothing was cut on the way back");
        assert_eq!(tries(Attempt::Connected)?, 1);
    }
    // Another port of the same host is not concerned.
    path.cut(Way::There, Cut::Port(PORT));
    assert_eq!(client.connect(None, server.service_v4(81), LIMIT)?, Attempt::Refused);
    path.mend(Way::There, Cut::Port(PORT));
    // The same on the client's side.
    lab.client_path(1).cut(Way::There, Cut::Everything);
    assert_eq!(tries(Attempt::TimedOut)?, 1);
    Ok(())
}

/// Sends numbered SYNs from the gateway to the server, a few at a time, and returns the numbers that arrived, in order.
fn send_numbered(lab: &Lab, count: u32) -> Result<Vec<u32>> {
    let (gateway, server) = (lab.gateway(), lab.server(1));
    let socket = gateway.frame_socket("server1")?;
    let listener = server.frame_listener("eth0", 0x0800)?;
    let (from, to) = (lab.client(1).v4(), server.v4());
    let mac = server.mac("eth0")?;
    let mut arrived = Vec::new();
    let collect = |listener: &FrameListener, arrived: &mut Vec<u32>| {
        let numbers = listener.heard().into_iter().filter(|frame| frame.get(47) == Some(&SYN));
        arrived.extend(numbers.filter_map(|frame| Some(u32::from_be_bytes(frame.get(38..42)?.try_into().ok()?))));
    };
    for number in 0..count {
        socket.send(&Segment::syn(SocketAddr::new(from, 40_000), SocketAddr::new(to, 9), number).frame(mac))?;
        if number % 50 == 49 {
            // A listener's queue is short.
            thread::sleep(Duration::from_millis(2));
            collect(&listener, &mut arrived);
        }
    }
    let path = lab.server_path(1);
    wait_until("every frame has arrived or is lost", LIMIT, || {
        collect(&listener, &mut arrived);
        arrived.len() as u64 + path.traffic(Way::There).lost >= u64::from(count)
    })?;
    Ok(arrived)
}

#[test]
fn as_many_frames_are_lost_as_was_asked_for() -> Result<()> {
    let lab = Lab::builder().path(Path { loss: 0.25, seed: 7, ..Path::default() }).build()?;
    let arrived = send_numbered(&lab, 4_000)?;
    assert!((2_850..=3_150).contains(&arrived.len()), "{} of 4000 arrived", arrived.len());
    assert!(arrived.is_sorted(), "without jitter nothing overtakes");
    Ok(())
}

#[test]
fn jitter_lets_frames_overtake_each_other_and_loses_none() -> Result<()> {
    let lab = Lab::builder().path(Path { jitter: Duration::from_millis(20), ..Path::default() }).build()?;
    let mut arrived = send_numbered(&lab, 500)?;
    assert!(!arrived.is_sorted());
    arrived.sort_unstable();
    assert_eq!(arrived, (0..500).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_long_transfer_arrives_whole_over_a_path_with_delay_and_loss() -> Result<()> {
    const BYTES: usize = 20_000_000;
    let path = Path { loss: 0.001, ..Path::with_round_trip(Duration::from_millis(10)) };
    let lab = Lab::builder().path(path).build()?;
    let (client, server) = (lab.client(1), lab.server(1));
    let listener = listen(server)?;
    for service in both_families(server) {
        thread::scope(|scope| {
            let sender = scope.spawn(|| -> Result<()> {
                let (mut stream, _) = listener.accept()?;
                let bytes: Vec<u8> = (0..BYTES).map(|n| (n % 251) as u8).collect();
                Ok(stream.write_all(&bytes)?)
            });
            let mut received = Vec::new();
            let mut stream = client.enter(|| TcpStream::connect_timeout(&service, LIMIT))??;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.read_to_end(&mut received)?;
            ensure!(received.len() == BYTES, "{} of {BYTES} bytes arrived from {service}", received.len());
            ensure!(received.iter().enumerate().all(|(n, byte)| *byte == (n % 251) as u8), "bytes are mixed up");
            sender.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
    }
    Ok(())
}

#[test]
fn a_burst_of_sixty_thousand_frames_passes_whole() -> Result<()> {
    const FRAMES: u32 = 60_000;
    let lab = Lab::builder().path(Path::with_round_trip(ROUND_TRIP)).build()?;
    let (socket, mac) = (lab.gateway().frame_socket("server1")?, lab.server(1).mac("eth0")?);
    let (from, to) = (SocketAddr::new(lab.client(1).v4(), 40_000), lab.server(1).service_v4(9));
    let begin = Instant::now();
    for number in 0..FRAMES {
        socket.send(&Segment::syn(from, to, number).frame(mac))?;
    }
    let path = lab.server_path(1);
    wait_until("every frame has passed", LIMIT, || path.traffic(Way::There).passed >= u64::from(FRAMES))?;
    println!("{:.0} frames per second", f64::from(FRAMES) / begin.elapsed().as_secs_f64());
    assert_eq!(path.traffic(Way::There).lost, 0);
    Ok(())
}
