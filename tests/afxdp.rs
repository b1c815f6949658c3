mod support;
use support::netns::{self, Namespace, veth};

#[test]
fn namespaces_work() {
    if !netns::available() {
        return;
    }
    let (c, d) = (Namespace::new("c"), Namespace::new("d"));
    veth((&c, "c0", "10.1.0.2/24"), (&d, "d0", "10.1.0.1/24"), 2);
    c.exec("ping -c1 -W1 10.1.0.1");
    let inside = d.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
    assert!(inside.contains("d0"));
}
