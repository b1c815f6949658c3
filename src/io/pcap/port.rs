//! A capture as a set of ports: frames come in by one of them, in the order and at the times of the file.
//!
//! The file's clock is the only one. [`PcapIo::due`] tells when the next frame is due; whoever drives the worker takes
//! that as "now", gives the worker a turn, and collects what was sent with [`PcapIo::drain_sent`]. A turn receives only
//! frames of the same [`Tick`], so that "now" is right for all of them.

use std::time::Duration;

use super::{CaptureError, Reader, Refusal};
use crate::io::pool::Pool;
use crate::io::{Batch, Frame, PacketIo, PortId, PortInfo};
use crate::time::Tick;

/// Bytes of a buffer: 64 KiB, the most that a frame's 16-bit length can use.
const SLOT: usize = 1 << 16;

/// Longest silence between two records: a capture's times may be wrong by decades, and ticks are compared over a year at
/// most. No connection outlives so long a silence, so that a longer one makes no difference.
const LONGEST_SILENCE: Duration = Duration::from_secs(100 * 24 * 3600);

/// What the capture holds next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A frame, which the next `receive` delivers.
    Frame {
        /// Counted from 1 over all records of the file.
        number: u64,
        /// When it is due, since the first record. Never goes back, even if the file does, and never leaves out more
        /// than 100 days at once.
        at: Duration,
    },
    /// A record that is no frame for the engine. It is told once and then gone.
    Refused {
        /// Counted from 1 over all records of the file.
        number: u64,
        /// Why.
        refusal: Refusal,
    },
}

/// What became of the records so far. `records` is the sum of `refused`, of `received`, and of one that may be due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records read from the file.
    pub records: u64,
    /// Of them, those that the capture holds only the first part of. They are delivered as they are.
    pub cut: u64,
    /// Of them, those whose link header was replaced by an Ethernet header.
    pub reframed: u64,
    /// Of them, those that are no frame for the engine.
    pub refused: u64,
    /// Silences of more than 100 days, which were cut down to that.
    pub shortened: u64,
    /// Frames given to the worker.
    pub received: u64,
    /// Buffers given to the worker for packets of its own.
    pub allocated: u64,
    /// Frames the worker sent.
    pub sent: u64,
    /// Frames the worker gave back.
    pub recycled: u64,
}

/// A frame that left the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent<'a> {
    /// By which port.
    pub port: PortId,
    /// The number of the record it came from; `None` for packets of the worker's own.
    pub number: Option<u64>,
    /// The time of that record as the file has it, or for the worker's own packets that of the last record received.
    pub time: Duration,
    /// The frame.
    pub frame: &'a [u8],
}

/// Where the frame in a buffer comes from.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    number: Option<u64>,
    time: Duration,
}

/// A capture file behind [`PacketIo`].
pub struct PcapIo {
    reader: Reader,
    infos: Vec<PortInfo>,
    arrival: PortId,
    batch: usize,
    pool: Pool,
    origins: Vec<Origin>,
    due: Option<(Frame, Duration)>,
    refused: Option<Due>,
    fault: Option<CaptureError>,
    sent: Vec<(PortId, Frame)>,
    /// The latest time that the file has told, once it has.
    latest: Option<Duration>,
    /// When the latest record was due.
    now: Duration,
    /// The time of the last record received, as the file has it.
    last: Duration,
    tally: Tally,
}

impl PcapIo {
    /// Ports of the given names, of which `arrival` is the one that the capture's frames come in by. A `receive` gives
    /// at most `batch` frames; `frames` buffers are shared by all that is under way.
    pub fn new(reader: Reader, names: &[&str], arrival: PortId, batch: usize, frames: usize) -> Self {
        let pool = Pool::new(frames, SLOT);
        let info = |name: &&str| PortInfo {
            name: (*name).to_owned(),
            partial_checksums: true,
            max_frame: pool.max_frame(),
            mode: "capture file".to_owned(),
        };
        Self {
            infos: names.iter().map(info).collect(),
            origins: vec![Origin::default(); frames],
            pool,
            reader,
            arrival,
            batch,
            due: None,
            refused: None,
            fault: None,
            sent: Vec::with_capacity(frames),
            latest: None,
            now: Duration::ZERO,
            last: Duration::ZERO,
            tally: Tally::default(),
        }
    }

    /// What the capture holds next; `None` at its end. A frame stays next until it is received. After an error there is
    /// nothing more.
    pub fn due(&mut self) -> Result<Option<Due>, CaptureError> {
        self.look_ahead();
        if let Some(error) = self.fault.take() {
            return Err(error);
        }
        if let Some((frame, at)) = &self.due {
            let number = self.origins[frame.index as usize].number.expect("a frame that is due was read");
            return Ok(Some(Due::Frame { number, at: *at }));
        }
        Ok(self.refused.take())
    }

    /// Shows each frame sent since the last call, in order, and frees its buffer.
    pub fn drain_sent(&mut self, mut each: impl FnMut(Sent<'_>)) {
        for (port, frame) in self.sent.drain(..) {
            let Origin { number, time } = self.origins[frame.index as usize];
            each(Sent { port, number, time, frame: self.pool.bytes(&frame) });
            self.pool.put(frame);
        }
    }

    /// The number of the record whose frame is in this buffer, or was there last; `None` for packets of the worker's own.
    pub(crate) fn number(&self, buffer: u32) -> Option<u64> {
        self.origins.get(buffer as usize)?.number
    }

    /// What became of the records so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Reads the next record unless one is waiting.
    fn look_ahead(&mut self) {
        if self.due.is_some() || self.refused.is_some() || self.fault.is_some() {
            return;
        }
        let record = match self.reader.read() {
            Ok(Some(record)) => record,
            Ok(None) => return,
            Err(error) => {
                self.fault = Some(error);
                return;
            }
        };
        self.tally.records += 1;
        self.tally.cut += u64::from(record.cut);
        self.tally.reframed += u64::from(record.reframed);
        let latest = self.latest.unwrap_or(record.time);
        let silence = record.time.saturating_sub(latest);
        self.tally.shortened += u64::from(silence > LONGEST_SILENCE);
        self.now += silence.min(LONGEST_SILENCE);
        self.latest = Some(latest.max(record.time));
        let at = self.now;
        let frame = record.frame.and_then(|bytes| {
            if bytes.len() > self.pool.max_frame() {
                return Err(Refusal::TooLong(bytes.len() as u32, self.pool.max_frame() as u32));
            }
            self.pool.copy_in(self.arrival, bytes).ok_or(Refusal::NoBuffer)
        });
        match frame {
            Ok(frame) => {
                self.origins[frame.index as usize] = Origin { number: Some(record.number), time: record.time };
                self.due = Some((frame, at));
            }
            Err(refusal) => {
                self.tally.refused += 1;
                self.refused = Some(Due::Refused { number: record.number, refusal });
            }
        }
    }
}

impl PacketIo for PcapIo {
    fn ports(&self) -> &[PortInfo] {
        &self.infos
    }

    fn receive(&mut self, into: &mut Batch) {
        let mut tick = None;
        for _ in 0..self.batch.min(into.remaining_capacity()) {
            self.look_ahead();
            let same_tick = |&mut (_, at): &mut (Frame, Duration)| *tick.get_or_insert(Tick::at(at)) == Tick::at(at);
            let Some((frame, _)) = self.due.take_if(same_tick) else { return };
            self.last = self.origins[frame.index as usize].time;
            self.tally.received += 1;
            into.push(frame);
        }
    }

    fn allocate(&mut self) -> Option<Frame> {
        let frame = self.pool.take(PortId::default())?;
        self.origins[frame.index as usize] = Origin { number: None, time: self.last };
        self.tally.allocated += 1;
        Some(frame)
    }

    fn slot_mut(&mut self, frame: &Frame) -> &mut [u8] {
        self.pool.slot_mut(frame)
    }

    /// Has room for all; frames for a port that does not exist stay where they are.
    fn transmit(&mut self, port: PortId, frames: &mut Batch) {
        if usize::from(port.0) < self.infos.len() {
            self.tally.sent += frames.len() as u64;
            self.sent.extend(frames.drain(..).map(|frame| (port, frame)));
        }
    }

    /// Has room for all, and shows it to nobody: the capture's own frame is the copy.
    fn pass(&mut self, _frame: &Frame) -> bool {
        true
    }

    fn recycle(&mut self, frames: &mut Batch) {
        self.tally.recycled += frames.len() as u64;
        for frame in frames.drain(..) {
            self.pool.put(frame);
        }
    }

    fn flush(&mut self) {}

    /// Does not wait: time is the capture's.
    fn wait(&mut self, _at_most: Duration) {}

    /// As [`wait`](Self::wait).
    fn doze(&mut self, _moment: Duration) {}

    fn in_hand(&self) -> usize {
        self.pool.out() - self.sent.len() - usize::from(self.due.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::io::pcap::{Resolution, Writer};

    fn port(frames: &[(u64, usize)], batch: usize, buffers: usize) -> PcapIo {
        let mut writer = Writer::new(Vec::new(), Resolution::Nano).unwrap();
        for &(milliseconds, length) in frames {
            writer.write(Duration::from_millis(milliseconds), &vec![7; length]).unwrap();
        }
        let reader = Reader::new(Cursor::new(writer.finish().unwrap())).unwrap();
        PcapIo::new(reader, &["a", "b"], PortId(1), batch, buffers)
    }

    fn frame(number: u64, milliseconds: u64) -> Result<Option<Due>, String> {
        Ok(Some(Due::Frame { number, at: Duration::from_millis(milliseconds) }))
    }

    fn due(io: &mut PcapIo) -> Result<Option<Due>, String> {
        io.due().map_err(|error| error.to_string())
    }

    fn receive(io: &mut PcapIo) -> Batch {
        let mut batch = Batch::new();
        io.receive(&mut batch);
        batch
    }

    #[test]
    fn a_turn_gets_the_frames_of_one_tick_in_order() {
        // A tick is 15.625 ms.
        let mut io = port(&[(1000, 60), (1010, 61), (1016, 62), (1002, 63), (9000, 64)], 64, 8);
        let mut turns = Vec::new();
        while let Some(due) = io.due().unwrap() {
            assert_eq!(io.due().unwrap(), Some(due), "looking does not take");
            assert_eq!((io.in_hand(), io.pool.out()), (0, 1), "nor does it hand out");
            let mut batch = receive(&mut io);
            turns.push((due, batch.iter().map(Frame::len).collect::<Vec<_>>()));
            io.recycle(&mut batch);
        }
        let at = |number, milliseconds| Due::Frame { number, at: Duration::from_millis(milliseconds) };
        let want = [(at(1, 0), vec![60, 61]), (at(3, 16), vec![62, 63]), (at(5, 8000), vec![64])];
        assert_eq!(turns, want, "time neither goes back nor crosses a tick within a turn");
        assert_eq!((io.in_hand(), io.pool.out()), (0, 0));
    }

    #[test]
    fn a_silence_of_decades_is_shortened() {
        let decades = 1_700_000_000_000;
        let mut io = port(&[(0, 60), (decades, 60), (1000, 60), (decades + 5, 60)], 64, 8);
        let mut times = Vec::new();
        while let Some(Due::Frame { at, .. }) = io.due().unwrap() {
            times.push(at);
            let mut batch = receive(&mut io);
            io.recycle(&mut batch);
        }
        // The third is a thousand milliseconds after the first, but also decades before the second.
        assert_eq!(times, [Duration::ZERO, LONGEST_SILENCE]);
        assert_eq!((io.now, io.tally().shortened), (LONGEST_SILENCE + Duration::from_millis(5), 1));
    }

    #[test]
    fn batches_may_be_kept_short() {
        let mut io = port(&[(0, 60); 5], 2, 8);
        let lengths = [(); 4].map(|()| {
            let mut batch = receive(&mut io);
            let length = batch.len();
            io.recycle(&mut batch);
            length
        });
        assert_eq!(lengths, [2, 2, 1, 0]);
    }

    #[test]
    fn what_is_sent_remembers_where_it_came_from() {
        let mut io = port(&[(1000, 60), (1001, 61)], 64, 8);
        let mut batch = receive(&mut io);
        assert!(batch.iter().all(|frame| frame.port() == PortId(1)));
        let mut second: Batch = batch.drain(1..).collect();
        io.transmit(PortId(7), &mut batch);
        assert_eq!(batch.len(), 1, "there is no such port");
        io.transmit(PortId(0), &mut batch);
        batch.extend(io.allocate());
        io.transmit(PortId(1), &mut batch);
        io.recycle(&mut second);
        assert_eq!((io.in_hand(), io.pool.out()), (0, 2), "sent, but not collected");
        let mut sent = Vec::new();
        io.drain_sent(|Sent { port, number, time, frame }| sent.push((port, number, time.as_millis(), frame.len())));
        assert_eq!(sent, [(PortId(0), Some(1), 1000, 60), (PortId(1), None, 1001, 0)]);
        let tally = Tally { records: 2, received: 2, allocated: 1, sent: 2, recycled: 1, ..Tally::default() };
        assert_eq!((io.tally(), io.in_hand(), io.pool.out()), (tally, 0, 0));
    }

    #[test]
    fn what_no_buffer_can_hold_is_told_in_its_place() {
        let mut io = port(&[(0, 60), (0, SLOT), (0, 61), (0, 62)], 64, 2);
        assert_eq!(due(&mut io), frame(1, 0));
        let first = receive(&mut io);
        assert_eq!(first.len(), 1, "a refusal ends the turn");
        let refusal = Refusal::TooLong(65536, 65472);
        assert_eq!(due(&mut io), Ok(Some(Due::Refused { number: 2, refusal })));
        let mut second = receive(&mut io);
        assert_eq!(due(&mut io), Ok(Some(Due::Refused { number: 4, refusal: Refusal::NoBuffer })));
        assert_eq!(due(&mut io), Ok(None));
        second.extend(first);
        io.recycle(&mut second);
        let tally = Tally { records: 4, refused: 2, received: 2, recycled: 2, ..Tally::default() };
        assert_eq!((io.tally(), io.in_hand()), (tally, 0));
    }

    #[test]
    fn a_broken_file_ends_after_its_last_whole_record() {
        let mut writer = Writer::new(Vec::new(), Resolution::Micro).unwrap();
        writer.write(Duration::ZERO, b"whole").unwrap();
        let mut file = writer.finish().unwrap();
        file.push(0);
        let mut io = PcapIo::new(Reader::new(Cursor::new(file)).unwrap(), &["a"], PortId(0), 64, 2);
        let mut batch = receive(&mut io);
        assert_eq!(batch.len(), 1);
        io.recycle(&mut batch);
        assert_eq!(due(&mut io), Err("packet 2, byte 46: the capture ends in the middle of a record".to_owned()));
        assert_eq!(due(&mut io), Ok(None));
    }
}
