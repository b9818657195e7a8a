//! A connection to a real server, byte by byte: what it answers is read as the simulated one writes it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use cache_simulation::server::{Millis, Reply};

/// A connection that speaks RESP3.
pub(crate) struct Client {
    stream: TcpStream,
    replies: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("a TCP connection has this option");
        let replies = BufReader::new(stream.try_clone().expect("a connection can be shared"));
        let mut client = Self { stream, replies };
        client.ask(&[b"HELLO".to_vec(), b"3".to_vec()]);
        client
    }

    /// One command and its reply.
    pub(crate) fn ask(&mut self, command: &[Vec<u8>]) -> Reply {
        self.stream.write_all(&written(command)).expect("the server is there");
        self.read()
    }

    /// The reply, and the server's time before and after the command.
    pub(crate) fn between_times(&mut self, command: &[Vec<u8>]) -> (Millis, Reply, Millis) {
        let time = written(&[b"TIME".to_vec()]);
        self.stream.write_all(&[time.clone(), written(command), time].concat()).expect("the server is there");
        (self.read_time(), self.read(), self.read_time())
    }

    fn read_time(&mut self) -> Millis {
        let Reply::Array(parts) = self.read() else { panic!("a time is two numbers") };
        let number = |part: &Reply| match part {
            Reply::Bulk(text) => str::from_utf8(text).ok().and_then(|text| text.parse::<u64>().ok()),
            _ => None,
        };
        let [seconds, micros] = [&parts[0], &parts[1]].map(|part| number(part).expect("a number"));
        seconds * 1_000 + micros / 1_000
    }

    fn read(&mut self) -> Reply {
        let mut line = Vec::new();
        self.replies.read_until(b'\n', &mut line).expect("the server is there");
        let text = str::from_utf8(&line[1..]).expect("a head is text").trim_end();
        let count = || text.parse::<usize>().expect("a length");
        match line[0] {
            b'_' => Reply::Nil,
            b'+' if text == "OK" => Reply::Simple("OK"),
            b'+' => Reply::Simple(text.to_owned().leak()),
            b'-' => Reply::Error(text.to_owned()),
            b':' => Reply::Int(text.parse().expect("a number")),
            b'$' => Reply::Bulk(self.bytes(count())),
            b'=' => Reply::Verbatim(String::from_utf8_lossy(&self.bytes(count())[4..]).into_owned()),
            b'*' => Reply::Array((0..count()).map(|_| self.read()).collect()),
            b'%' => Reply::Map((0..count()).map(|_| (self.read(), self.read())).collect()),
            other => panic!("a reply of the kind {:?}", char::from(other)),
        }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count + 2];
        self.replies.read_exact(&mut bytes).expect("the server is there");
        bytes.truncate(count);
        bytes
    }
}

fn written(command: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(word);
        bytes.extend(b"\r\n");
    }
    bytes
}
