//! Packet sockets on real interfaces: two namespaces and a cable, a server in the one and a client in the other.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use engine::{Names, Sample, Time, Wall};
use etherparse::PacketBuilder;
use oopsd::capture::attribution::Attribution;
use oopsd::capture::socket::{Error, Socket};
use std::net::UdpSocket;
use std::sync::Arc;
use std::thread;
use std::time::Instant;
use tests::frames::{send_frames, tagged};
use tests::lab::{self, Namespace, SOON, until};
use tests::traffic::Load;
use wire::count::{FIELDS, NODE};
use wire::{Direction, Family, Node, Ports, Transport};

const BUFFER: usize = 1 << 20;
const HOST: &str = "192.0.2.1";
const CLIENT: &str = "192.0.2.2";

#[test]
fn every_datagram_counts_once_and_in_its_direction() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    for threads in [1, 3] {
        let mut capture = lab.capture("eth0", threads)?;
        for number in 0..8 {
            lab.exchange(&lab.client, &lab.host, HOST, 64, number)?;
        }
        lab.exchange(&lab.host, &lab.client, CLIENT, 30, 0)?;
        capture.comes_to(&[(RECEIVED_QUERY, 512), (SENT_RESPONSE, 512), (SENT_QUERY, 30), (RECEIVED_RESPONSE, 30)])?;
        assert_eq!(capture.zone, [512, 512, 0, 0, 0, 0, 0], "{threads} threads");
    }
    Ok(())
}

#[test]
fn what_came_before_the_filters_counts_nowhere() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    for threads in [1, 2, 1, 2] {
        let from = lab.client.inside(|| Ok(UdpSocket::bind("0.0.0.0:0")?))?;
        // Nobody listens: each is answered by an ICMP message, which is none of the frames asked for.
        let load = Load::start(from, format!("{HOST}:53").parse()?, 20_000, || query(1));
        load.more(1_000)?;
        let mut capture = lab.capture("eth0", threads)?;
        load.more(2_000)?;
        drop(load);
        let all = || {
            let node = capture.look().node;
            let frames = capture.socket.status()[0].frames;
            (frames > 1_000 && node[RECEIVED_QUERY] == frames && node.iter().sum::<u64>() == frames).then_some(())
        };
        until("each frame is a query", SOON, all)
            .with_context(|| format!("{:?}, {:?}", capture.socket.status(), capture.node))?;
    }
    Ok(())
}

#[test]
fn frames_count_under_one_tag_and_under_two() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    for tags in 0..=2 {
        let mut capture = lab.capture("eth0", 1)?;
        send_frames(&lab.client, 100, &tagged(tags, &datagram(&query(1), 5353, 53)))?;
        send_frames(&lab.host, 100, &tagged(tags, &datagram(&response(1), 53, 5353)))?;
        send_frames(&lab.client, 100, &tagged(tags, &datagram(&query(1), 5353, 5353)))?;
        capture.comes_to(&[(RECEIVED_QUERY, 100), (SENT_RESPONSE, 100)])?;
    }
    Ok(())
}

#[test]
fn on_the_loopback_interface_a_datagram_counts_once() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut capture = lab.capture("lo", 1)?;
    lab.exchange(&lab.host, &lab.host, "127.0.0.1", 100, 0)?;
    capture.comes_to(&[(RECEIVED_QUERY, 100), (SENT_RESPONSE, 100)])
}

#[test]
fn an_interface_that_goes_away_is_taken_up_again() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut capture = lab.capture("eth0", 1)?;
    lab.exchange(&lab.client, &lab.host, HOST, 10, 0)?;
    capture.comes_to(&[(RECEIVED_QUERY, 10), (SENT_RESPONSE, 10)])?;
    lab.host.ip("link set eth0 down")?;
    capture.says(Some("the interface is down"))?;
    lab.host.ip("link set eth0 up")?;
    capture.says(None)?;
    lab.exchange(&lab.client, &lab.host, HOST, 10, 1)?;
    capture.comes_to(&[(RECEIVED_QUERY, 20), (SENT_RESPONSE, 20)])?;
    lab.host.ip("link delete eth0")?;
    capture.says(Some("the interface is gone"))?;
    lab.lay()?;
    capture.says(None)?;
    lab.exchange(&lab.client, &lab.host, HOST, 10, 2)?;
    capture.comes_to(&[(RECEIVED_QUERY, 30), (SENT_RESPONSE, 30)])
}

#[test]
fn an_idle_capture_costs_nothing_and_stops_at_once() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    lab.host.ip("link set eth0 down")?;
    lab.host.ip("link set eth0 name idle0")?;
    lab.host.ip("link set idle0 up")?;
    let mut capture = lab.capture("idle0", 1)?;
    // What is measured is that nothing happens, for so long.
    let span = Duration::from_secs(3);
    thread::sleep(span);
    let spent = processor_time("capture idle0")?;
    let start = Instant::now();
    capture.socket.stop();
    let stopped = start.elapsed();
    println!("idle for {span:?}: {spent:?} of processor time; stopped in {stopped:?}");
    // A busy machine moves both; one look each 10 ms would be 300 looks.
    ensure!(spent <= Duration::from_millis(15) && stopped < Duration::from_secs(2));
    Ok(())
}

#[test]
fn what_is_misspelt_is_an_error_and_what_is_down_is_not() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let error = lab.start("eth9", 1).expect_err("there is no eth9");
    assert_eq!(error.downcast_ref(), Some(&Error::NoInterface(String::from("eth9"))));
    lab.host.ip("link set eth0 down")?;
    assert_eq!(lab.start("eth0", 1)?.status()[0].blind.as_deref(), Some("the interface is down"));
    Ok(())
}

#[test]
fn a_reload_loses_no_count() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut socket = lab.start("eth0", 1)?;
    let mut generations: Vec<(u64, u64)> = Vec::new();
    let mut note = |sample: &Sample| {
        let total = sample.node[RECEIVED_QUERY];
        match generations.last_mut() {
            Some(last) if last.0 == sample.generation => last.1 = total,
            _ => generations.push((sample.generation, total)),
        }
        generations.iter().map(|(_, total)| total).sum::<u64>()
    };
    thread::scope(|scope| {
        let queries = || (0..10).try_for_each(|number| lab.exchange(&lab.client, &lab.host, HOST, 50, number));
        let traffic = scope.spawn(queries);
        while !traffic.is_finished() {
            note(&socket.replace(&attribution(), Time(0), Wall(0)));
            thread::yield_now();
        }
        traffic.join().expect("no panic")?;
        until("all queries count", SOON, || (note(&socket.sample(Time(0), Wall(0))) == 500).then_some(()))
    })
}

#[test]
fn what_came_before_a_stop_counts() -> Result<()> {
    let Some(lab) = Lab::new()? else { return Ok(()) };
    let mut socket = lab.start("eth0", 1)?;
    lab.exchange(&lab.client, &lab.host, HOST, 50, 0)?;
    socket.stop();
    let sample = socket.sample(Time(0), Wall(0));
    assert_eq!([sample.node[RECEIVED_QUERY], sample.node[SENT_RESPONSE], sample.sight.frames], [50, 50, 100]);
    Ok(())
}

const RECEIVED_QUERY: usize = message(Direction::Received, false);
const SENT_RESPONSE: usize = message(Direction::Sent, true);
const SENT_QUERY: usize = message(Direction::Sent, false);
const RECEIVED_RESPONSE: usize = message(Direction::Received, true);

const fn message(direction: Direction, response: bool) -> usize {
    Node::Message { direction, response, transport: Transport::Udp, family: Family::V4 }.index()
}

/// A host, whose interfaces are watched, and a client.
struct Lab {
    host: Namespace,
    client: Namespace,
}

impl Lab {
    fn new() -> Result<Option<Self>> {
        if !lab::ready(&["ip"]) {
            return Ok(None);
        }
        let lab = Self { host: Namespace::new("capture")?, client: Namespace::new("capture")? };
        lab.lay()?;
        Ok(Some(lab))
    }

    fn lay(&self) -> Result<()> {
        self.host.cable("eth0", &self.client, "eth0")?;
        self.host.ip(&format!("address add {HOST}/24 dev eth0"))?;
        self.client.ip(&format!("address add {CLIENT}/24 dev eth0"))?;
        Ok(())
    }

    fn start(&self, interface: &str, threads: usize) -> Result<Socket> {
        let interfaces = [interface.to_owned()];
        self.host.inside(|| Ok(Socket::start(&interfaces, Ports::DNS, BUFFER, threads, &attribution())?))
    }

    fn capture(&self, interface: &str, threads: usize) -> Result<Counted> {
        Ok(Counted { socket: self.start(interface, threads)?, node: [0; NODE], zone: [0; FIELDS] })
    }

    /// Sends queries for `www.example.nl.` from one namespace to a server in another, and waits for each response.
    fn exchange(&self, from: &Namespace, to: &Namespace, address: &str, queries: u16, number: u16) -> Result<()> {
        let server = to.inside(|| Ok(UdpSocket::bind((address, 53))?))?;
        let client = from.inside(|| Ok(UdpSocket::bind(("0.0.0.0", 10_000 + number))?))?;
        server.set_read_timeout(Some(SOON))?;
        client.set_read_timeout(Some(SOON))?;
        client.connect((address, 53))?;
        let mut buffer = [0; 512];
        for id in 0..queries {
            client.send(&query(id))?;
            let (length, sender) = server.recv_from(&mut buffer)?;
            buffer[2] |= 0x80;
            server.send_to(&buffer[..length], sender)?;
            client.recv(&mut buffer)?;
        }
        Ok(())
    }
}

/// A capture and its newest totals.
struct Counted {
    socket: Socket,
    node: [u64; NODE],
    zone: [u64; FIELDS],
}

impl Counted {
    fn look(&mut self) -> &Self {
        let sample = self.socket.sample(Time(0), Wall(0));
        self.node = sample.node;
        if let Some(moved) = sample.moved.iter().find(|moved| moved.slot == 1) {
            self.zone = moved.totals;
        }
        self
    }

    /// Waits until the node's totals are these and all others zero; and sees that no more frames have come.
    fn comes_to(&mut self, totals: &[(usize, u64)]) -> Result<()> {
        let mut expected = [0; NODE];
        for &(index, total) in totals {
            expected[index] = total;
        }
        let reached = until("all is counted", SOON, || (self.look().node == expected).then_some(()));
        reached.map_err(|error| error.context(format!("{:?} is not {expected:?}", self.node)))?;
        self.reached_by(totals.iter().map(|(_, total)| total).sum())?;
        ensure!(self.look().node == expected, "{:?} is more than {expected:?}", self.node);
        Ok(())
    }

    /// Waits until so many frames have reached it, and sees that none was lost.
    fn reached_by(&self, frames: u64) -> Result<()> {
        let status = || self.socket.status().remove(0);
        until("frames are counted", SOON, || (status().frames == frames).then_some(()))
            .map_err(|error| error.context(format!("{:?} has not {frames} frames", status())))?;
        ensure!(status().dropped == 0, "{:?}", status());
        Ok(())
    }

    /// Waits until it is blind for this reason, or sees; says how long it took.
    #[expect(clippy::print_stdout, reason = "how long it takes is part of the test's report")]
    fn says(&mut self, blind: Option<&str>) -> Result<()> {
        let start = Instant::now();
        until("it says so", SOON, || (self.socket.status()[0].blind.as_deref() == blind).then_some(()))
            .map_err(|error| error.context(format!("{:?} is not {blind:?}", self.socket.status())))?;
        println!("{} after {:?}", blind.unwrap_or("it sees again"), start.elapsed());
        Ok(())
    }
}

fn attribution() -> Arc<Attribution> {
    Arc::new(Attribution::new(&Names::new(["nl."], [""; 0]), &[]))
}

fn query(id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    [&[high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], &b"\x03www\x07example\x02nl\0\0\x01\0\x01"[..]].concat()
}

fn response(id: u16) -> Vec<u8> {
    let mut response = query(id);
    response[2] |= 0x80;
    response
}

/// A broadcast Ethernet frame with this datagram.
fn datagram(payload: &[u8], source: u16, destination: u16) -> Vec<u8> {
    let mut frame = Vec::new();
    let datagram = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0xFF; 6]).ipv4([192, 0, 2, 2], [192, 0, 2, 1], 64);
    datagram.udp(source, destination).write(&mut frame, payload).expect("a Vec takes everything");
    frame
}

/// What the threads of this name have spent.
fn processor_time(name: &str) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == name {
            let account = std::fs::read_to_string(task.join("schedstat"))?;
            nanoseconds += account.split(' ').next().context("an account")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(nanoseconds))
}
