//! A light that blinks while an update is written. It knows neither pins nor time.

/// Voltage at a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Near the ground.
    Low,
    /// Near the supply.
    High,
}

/// Which level lights an LED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Polarity {
    /// Low lights it: the LED of most ESP8266 modules.
    ActiveLow,
    /// High lights it: that of most ESP32 boards.
    ActiveHigh,
}

/// The pin of an LED.
pub trait Led {
    /// Puts the pin to this level.
    fn set(&mut self, level: Level);
}

/// Blinks: changes with every block that is written, and is dark once it is dropped.
pub struct Ticker<'a> {
    led: &'a mut dyn Led,
    polarity: Polarity,
    lit: bool,
}

impl<'a> Ticker<'a> {
    /// Dark so far.
    pub fn new(led: &'a mut dyn Led, polarity: Polarity) -> Self {
        Self { led, polarity, lit: false }
    }

    /// Changes between light and dark.
    pub fn tick(&mut self) {
        self.show(!self.lit);
    }

    fn show(&mut self, lit: bool) {
        self.lit = lit;
        self.led.set(match (lit, self.polarity) {
            (true, Polarity::ActiveHigh) | (false, Polarity::ActiveLow) => Level::High,
            (true, Polarity::ActiveLow) | (false, Polarity::ActiveHigh) => Level::Low,
        });
    }
}

impl Drop for Ticker<'_> {
    fn drop(&mut self) {
        self.show(false);
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::Level::{High, Low};
    use super::*;

    struct Pin(Vec<Level>);

    impl Led for Pin {
        fn set(&mut self, level: Level) {
            self.0.push(level);
        }
    }

    #[test]
    fn a_ticker_changes_with_every_tick_and_ends_dark() {
        let check = |polarity, ticks, expected: &[Level]| {
            let mut pin = Pin(Vec::new());
            let mut ticker = Ticker::new(&mut pin, polarity);
            (0..ticks).for_each(|_| ticker.tick());
            drop(ticker);
            assert_eq!(pin.0, expected);
        };
        check(Polarity::ActiveHigh, 3, &[High, Low, High, Low]);
        check(Polarity::ActiveLow, 1, &[Low, High]);
        check(Polarity::ActiveLow, 0, &[High]);
    }
}
