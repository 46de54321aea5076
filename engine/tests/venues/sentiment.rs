//! Posts over HTTP: X's stream, whose lines have nothing to do with its chunks and which breaks and is refused, and a
//! document that is asked for again and again.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use crate::bus::{Bus, Heard};

/// Answers one connection after the other, each with its text; what is behind the last is not answered any more. The
/// last connection stays open.
struct Server {
    address: String,
    thread: Option<std::thread::JoinHandle<Vec<String>>>,
}

impl Server {
    fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let serve = move || {
            let mut asked = Vec::new();
            let mut last: Option<TcpStream> = None;
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut head = String::new();
                let mut lines = BufReader::new(stream.try_clone().unwrap());
                while lines.read_line(&mut head).unwrap() > 2 {}
                asked.push(head);
                stream.write_all(answer.as_bytes()).unwrap();
                last = Some(stream);
            }
            // Held until the publisher lets go of it.
            if let Some(stream) = last {
                BufReader::new(stream).read_line(&mut String::new()).ok();
            }
            asked
        };
        let thread = std::thread::Builder::new().name("posts".into()).spawn(serve).unwrap();
        Self { address, thread: Some(thread) }
    }

    /// The requests, once the last connection is closed.
    fn asked(&mut self) -> Vec<String> {
        self.thread.take().expect("it runs").join().unwrap()
    }
}

fn chunked(parts: &[&str]) -> String {
    let chunks: String = parts.iter().map(|part| format!("{:x}\r\n{part}\r\n", part.len())).collect();
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}")
}

fn whole(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

fn post(id: u32, text: &str) -> String {
    format!(
        "{{\"data\":{{\"id\":\"{id}\",\"text\":\"{text}\",\"created_at\":\"2026-08-02T03:36:0{id}.000Z\",\"lang\":\"en\"}},\
         \"matching_rules\":[{{\"id\":\"1\",\"tag\":\"bitcoin\"}}]}}\r\n"
    )
}

fn scores(heard: &[Heard]) -> Vec<f64> {
    let posts = heard.iter().filter(|heard| heard.is_data());
    posts.map(|heard| heard.text("sentiment_score").parse().unwrap()).collect()
}

#[test]
fn posts_of_a_stream_that_breaks_are_scored_and_the_hole_is_told() {
    let (first, second, third) =
        (post(1, "Bitcoin is GREAT!!!"), post(2, "what a horrible loss"), post(3, "fine"));
    let (front, back) = second.split_at(second.len() / 2);
    let broken = chunked(&[&first, "\r\n", front, back]) + "0\r\n\r\n";
    let mut server = Server::start(vec![broken, chunked(&[&third])]);
    let toml = format!(
        "[publishers.twitter_sentiment]\nsource = \"x\"\nurl = \"http://{}/2/stream\"\ntoken = \"env:OANDA_TOKEN\"\n",
        server.address
    );
    let mut bus = Bus::start(&toml, None);
    bus.until("three posts and the hole", |heard| {
        scores(heard).len() == 3
            && heard.iter().any(|heard| heard.event() == Some("up") && heard.span().is_some())
    });
    let scores = scores(&bus.heard);
    assert!(scores[0] > 0.5 && scores[1] < -0.5 && scores[2] > 0.0, "{scores:?}");
    assert!(
        bus.data("twitter_sentiment").all(|post| post["topic"] == "bitcoin" && post.get("text").is_none())
    );
    drop(bus);
    let asked = server.asked();
    assert!(asked.iter().all(|head| head.contains("Bearer simulated-token")), "{asked:?}");
}

#[test]
fn a_token_that_is_refused_ends_the_publisher_by_its_name() {
    let server = Server::start(vec![whole("401 Unauthorized", "{\"title\":\"Unauthorized\"}")]);
    let toml = format!(
        "[publishers.twitter_sentiment]\nsource = \"x\"\nurl = \"http://{}/2/stream\"\ntoken = \"env:WRONG_TOKEN\"\n",
        server.address
    );
    let mut bus = Bus::start(&toml, None);
    let mut failure = None;
    bus.until_now("the refusal", |group| {
        failure = group.failure();
        failure.is_some()
    });
    let failure = failure.unwrap();
    assert!(
        failure.contains("publishers.twitter_sentiment: token: must be accepted, found 401"),
        "{failure}"
    );
    assert!(!failure.contains("expired"), "the token is not shown: {failure}");
}

#[test]
fn articles_are_told_once_however_often_a_document_is_asked_for() {
    let article = |id: u32, title: &str| {
        format!(
            "<item><guid>{id}</guid><title>{title}</title><pubDate>Sun, 02 Aug 2026 03:36:0{id} +0000</pubDate></item>"
        )
    };
    let document = |articles: &str| {
        whole(
            "200 OK",
            &format!("<rss version=\"2.0\"><channel><title>news</title>{articles}</channel></rss>"),
        )
    };
    let (one, two) =
        (article(1, "Bitcoin soars, investors are happy"), article(2, "Bitcoin crashes, panic and losses"));
    let server = Server::start(vec![document(&one), document(&format!("{two}{one}")), whole("503 Busy", "")]);
    let toml = format!(
        "[publishers.twitter_sentiment]\nsource = \"rss\"\nfeeds = [\"http://{}/news.xml\"]\npoll_every = \"1s\"\n\
         rules = {{ coins = \"bitcoin\" }}\n",
        server.address
    );
    let mut bus = Bus::start(&toml, None);
    bus.until("two articles and an answer that is none", |heard| {
        scores(heard).len() == 2 && heard.iter().any(|heard| heard.event().is_some_and(|kind| kind != "up"))
    });
    let scores = scores(&bus.heard);
    assert!(scores[0] > 0.0 && scores[1] < 0.0, "{scores:?}");
}
