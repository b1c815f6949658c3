//! pcap: to be written.
