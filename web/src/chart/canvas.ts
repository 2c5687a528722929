/** The drawn chart: candlesticks, volume and indicators on lightweight-charts. It holds no data of its own. */

import {
  CandlestickSeries,
  type ChartOptions,
  createChartEx,
  createSeriesMarkers,
  createTextWatermark,
  CrosshairMode,
  type DeepPartial,
  HistogramSeries,
  type IChartApiBase,
  type ISeriesApi,
  type ITextWatermarkPluginApi,
  LineSeries,
  LineStyle,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
} from "lightweight-charts";

import { tickText, zonedBehavior } from "./axis.ts";
import type { Bar } from "./bars.ts";
import type { LocalClock } from "./clock.ts";
import type { Shown } from "./indicators.ts";
import type { Mark } from "./marks.ts";
import type { Palette } from "./palette.ts";
import type { Resolution } from "./timeline.ts";

/** How a chart looks. Another look is another chart: it is cheap to make, and its view is carried over by `range`. */
export interface Look {
  readonly resolution: Resolution;
  readonly shown: Shown;
  readonly palette: Palette;
  /** The clock of the axis. */
  readonly clock: LocalClock;
  /** A time with its date, for the label of the crosshair. */
  readonly timeText: (time: number) => string;
}

/** What a chart shows. */
export interface Picture {
  readonly bars: readonly Bar[];
  /** Places without a bar, and those among them where a bar is missing. */
  readonly empty: readonly number[];
  readonly missing: readonly number[];
  readonly marks: readonly Mark[];
  /** The digits of the price scale. */
  readonly digits: number;
}

export interface Handlers {
  /** The mouse or a finger is at a place of the time axis, or has left the chart. */
  readonly onPoint: (time: number | null) => void;
  /** The view has moved. */
  readonly onMove: () => void;
}

/** The first and the last place in view, as places counted from the oldest. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

type Line = ISeriesApi<"Line", Time>;
type Histogram = ISeriesApi<"Histogram", Time>;

const NARROW = 480;
/** So many places are in view if there are fewer bars, so that the first bars of a feed are not tiny. */
const FEW = 45;
const HIDDEN = "transparent";
const SHAPES = { critical: "arrowDown", warning: "square", info: "circle" } as const;

export class CandleChart {
  readonly #chart: IChartApiBase<Time>;
  readonly #candles: ISeriesApi<"Candlestick", Time>;
  readonly #volume: Histogram;
  readonly #gaps: Histogram;
  readonly #lines: readonly (readonly [name: string, series: Line])[];
  readonly #histogram: Histogram | null;
  readonly #markers: { setMarkers(markers: SeriesMarker<Time>[]): void };
  readonly #labels: readonly (readonly [name: string, label: ITextWatermarkPluginApi<Time>])[];
  readonly #look: Look;

  constructor(container: HTMLElement, look: Look, handlers: Handlers) {
    this.#look = look;
    const { palette, shown } = look;
    const narrow = container.clientWidth < NARROW;
    this.#chart = createChartEx(container, zonedBehavior(look.clock), options(look, narrow));
    this.#gaps = this.#chart.addSeries(HistogramSeries, {
      color: palette.gap,
      priceScaleId: "gaps",
      lastValueVisible: false,
      priceLineVisible: false,
      autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 1 } }),
    });
    this.#gaps.priceScale().applyOptions({ scaleMargins: { top: 0, bottom: 0 } });
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      upColor: palette.up,
      downColor: palette.down,
      wickUpColor: palette.up,
      wickDownColor: palette.down,
      borderVisible: false,
      priceLineStyle: LineStyle.Dotted,
    });
    this.#candles.priceScale().applyOptions({ scaleMargins: { top: narrow ? 0.3 : 0.14, bottom: 0.22 } });
    this.#volume = this.#chart.addSeries(HistogramSeries, {
      priceFormat: { type: "volume" },
      priceScaleId: "volume",
      lastValueVisible: false,
      priceLineVisible: false,
    });
    this.#volume.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.#markers = createSeriesMarkers(this.#candles, [], { zOrder: "top" });

    const lines: [string, Line][] = [];
    const labels: [string, ITextWatermarkPluginApi<Time>][] = [];
    const line = (name: string, color: string, pane = 0, dashed = false): Line => {
      const series = this.#chart.addSeries(
        LineSeries,
        {
          color,
          lineWidth: pane === 0 && !dashed ? 2 : 1,
          lineStyle: dashed ? LineStyle.Dashed : LineStyle.Solid,
          lastValueVisible: false,
          priceLineVisible: false,
          crosshairMarkerVisible: false,
        },
        pane,
      );
      lines.push([name, series]);
      return series;
    };
    for (const size of shown.smaSizes) line(`sma_${size}`, palette.sma[size] ?? palette.text);
    if (shown.bollinger) for (const edge of ["upper", "lower"]) line(`bollinger_${edge}`, palette.bollinger, 0, true);
    let pane = 0;
    if (shown.rsi) {
      const rsi = line("rsi_14", palette.rsi, ++pane);
      rsi.applyOptions({
        lineWidth: 2,
        priceFormat: { type: "price", precision: 0, minMove: 1 },
        autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 100 } }),
      });
      for (const price of [30, 70]) {
        rsi.createPriceLine({ price, color: palette.edge, lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: false });
      }
      labels.push(["rsi_14", this.#label(pane)]);
    }
    this.#histogram = shown.macd
      ? this.#chart.addSeries(HistogramSeries, { lastValueVisible: false, priceLineVisible: false }, ++pane)
      : null;
    if (shown.macd) {
      line("macd", palette.macd, pane).applyOptions({ lineWidth: 2 });
      line("macd_signal", palette.signal, pane);
      labels.push(["macd", this.#label(pane)]);
    }
    this.#lines = lines;
    this.#labels = labels;
    this.#chart.panes().forEach((each, index) => {
      each.setStretchFactor(index === 0 ? 3 : 1);
      if (index > 0) each.priceScale("right").applyOptions({ scaleMargins: { top: 0.25, bottom: 0.1 } }); // below the label
    });
    this.#chart.subscribeCrosshairMove(({ time, sourceEvent }) => {
      // Without an event of the pointer, the chart only says where it has drawn the crosshair that it was told to draw.
      if (time === undefined) handlers.onPoint(null);
      else if (sourceEvent) handlers.onPoint(time as number);
    });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(handlers.onMove);
  }

  /** Draws everything. What is in view stays in view, also if bars were added before it. */
  draw({ bars, empty, missing, marks, digits }: Picture): void {
    const hidden = ends(bars, empty);
    this.#applyDigits(digits);
    this.#candles.setData(places(bars, empty));
    this.#gaps.setData(missing.map((time) => ({ time: time as UTCTimestamp, value: 1 })));
    this.#volume.setData(bars.flatMap((bar) => this.#volumeOf(bar)));
    for (const [name, series] of this.#lines) {
      series.setData(bars.flatMap((bar) => point(bar, name, hidden.has(bar.time))));
    }
    this.#histogram?.setData(bars.flatMap((bar) => this.#momentum(bar)));
    this.#markers.setMarkers(marks.map((mark) => this.#marker(mark)));
  }

  /** Draws the newest bar again, and nothing else. */
  redrawNewest(bar: Bar): void {
    this.#candles.update(candle(bar));
    for (const item of this.#volumeOf(bar)) this.#volume.update(item);
    for (const [name, series] of this.#lines) for (const item of point(bar, name, false)) series.update(item);
    for (const item of this.#momentum(bar)) this.#histogram?.update(item);
  }

  /** Writes the values of the panes below the chart into their corners. */
  label(texts: Readonly<Record<string, string>>): void {
    for (const [name, label] of this.#labels) label.applyOptions({ lines: [this.#labelLine(texts[name] ?? "")] });
  }

  get range(): Range | null {
    return this.#chart.timeScale().getVisibleLogicalRange();
  }

  set range(range: Range) {
    this.#chart.timeScale().setVisibleLogicalRange(range);
  }

  /** Moves to the newest bar. */
  showNewest(): void {
    const places = this.#candles.data().length;
    if (places < FEW) this.range = { from: places - FEW, to: places + 2 };
    else this.#chart.timeScale().resetTimeScale();
  }

  /** Points at a bar, and moves the view if the bar is outside of it. */
  pointAt(bar: Bar): void {
    const index = this.#chart.timeScale().timeToIndex(bar.time as UTCTimestamp, true);
    const range = this.range;
    if (index !== null && range !== null) {
      const shift = index < range.from + 1 ? index - range.from - 2 : index > range.to - 1 ? index - range.to + 2 : 0;
      if (shift !== 0) this.range = { from: range.from + shift, to: range.to + shift };
    }
    this.#chart.setCrosshairPosition(bar.close.value, bar.time as UTCTimestamp, this.#candles);
  }

  unpoint(): void {
    this.#chart.clearCrosshairPosition();
  }

  /** The distance of a bar from the left edge of the chart, in pixels. */
  coordinate(time: number): number | null {
    return this.#chart.timeScale().timeToCoordinate(time as UTCTimestamp);
  }

  remove(): void {
    this.#chart.remove();
  }

  #applyDigits(digits: number): void {
    this.#candles.applyOptions({ priceFormat: { type: "price", precision: digits, minMove: 10 ** -digits } });
    const priceFormat = { type: "price", precision: digits + 1, minMove: 10 ** (-digits - 1) } as const;
    this.#histogram?.applyOptions({ priceFormat });
  }

  #volumeOf(bar: Bar): { time: UTCTimestamp; value: number; color: string }[] {
    const { volumeUp, volumeDown } = this.#look.palette;
    const color = bar.close.value >= bar.open.value ? volumeUp : volumeDown;
    return bar.volume === null ? [] : [{ time: bar.time as UTCTimestamp, value: bar.volume, color }];
  }

  #momentum(bar: Bar): { time: UTCTimestamp; value: number; color: string }[] {
    const { volumeUp, volumeDown } = this.#look.palette;
    const value = bar.indicators["macd_histogram"];
    return value === undefined ? [] : [{ time: bar.time as UTCTimestamp, value, color: value < 0 ? volumeDown : volumeUp }];
  }

  #marker(mark: Mark): SeriesMarker<Time> {
    return {
      time: mark.time as UTCTimestamp,
      position: "aboveBar",
      shape: SHAPES[mark.severity],
      color: this.#look.palette.severities[mark.severity],
      ...(mark.alerts.length > 1 ? { text: String(mark.alerts.length) } : {}),
    };
  }

  #label(pane: number): ITextWatermarkPluginApi<Time> {
    const at = this.#chart.panes()[pane]!;
    return createTextWatermark(at, { horzAlign: "left", vertAlign: "top", lines: [this.#labelLine("")] });
  }

  #labelLine(text: string): { text: string; color: string; fontSize: number; lineHeight: number; fontFamily: string } {
    const { palette } = this.#look;
    return { text, color: palette.text, fontSize: 12, lineHeight: 18, fontFamily: palette.font };
  }
}

function options({ resolution, palette, clock, timeText }: Look, narrow: boolean): DeepPartial<ChartOptions> {
  return {
    autoSize: true,
    layout: {
      attributionLogo: false, // It injects a style, which the content policy forbids. The footer has its link.
      background: { color: palette.background },
      textColor: palette.text,
      fontFamily: palette.font,
      fontSize: narrow ? 11 : 12,
      panes: { separatorColor: palette.edge, separatorHoverColor: palette.grid },
    },
    grid: { vertLines: { color: palette.grid }, horzLines: { color: palette.grid } },
    crosshair: {
      mode: CrosshairMode.Normal,
      vertLine: { color: palette.crosshair, labelBackgroundColor: palette.label },
      horzLine: { color: palette.crosshair, labelBackgroundColor: palette.label },
    },
    handleScroll: { vertTouchDrag: false }, // a finger that moves up or down scrolls the page
    rightPriceScale: { borderColor: palette.edge },
    timeScale: {
      borderColor: palette.edge,
      timeVisible: resolution !== "1d",
      secondsVisible: false,
      rightOffset: narrow ? 2 : 5,
      barSpacing: narrow ? 6 : 8,
      minBarSpacing: 1,
      tickMarkFormatter: (time: Time, type: number, locale: string) => tickText(clock(time as number), type, locale),
    },
    localization: { locale: "en-GB", timeFormatter: (time: Time) => timeText(time as number) },
  };
}

function candle(bar: Bar): { time: UTCTimestamp; open: number; high: number; low: number; close: number } {
  return {
    time: bar.time as UTCTimestamp,
    open: bar.open.value,
    high: bar.high.value,
    low: bar.low.value,
    close: bar.close.value,
  };
}

/** Bars and empty places in one list, in order. */
function places(bars: readonly Bar[], empty: readonly number[]): ({ time: UTCTimestamp } | ReturnType<typeof candle>)[] {
  const all = [...bars.map(candle), ...empty.map((time) => ({ time: time as UTCTimestamp }))];
  return all.sort((one, other) => one.time - other.time);
}

/** The times of bars that an empty place follows. A line ends there, and begins again after the gap. */
function ends(bars: readonly Bar[], empty: readonly number[]): ReadonlySet<number> {
  const found = new Set<number>();
  let next = 0;
  for (let index = 0; index + 1 < bars.length; index += 1) {
    while (next < empty.length && empty[next]! < bars[index]!.time) next += 1;
    if (next < empty.length && empty[next]! < bars[index + 1]!.time) found.add(bars[index]!.time);
  }
  return found;
}

function point(bar: Bar, name: string, hidden: boolean): { time: UTCTimestamp; value: number; color?: string }[] {
  const value = bar.indicators[name];
  if (value === undefined) return [];
  return [{ time: bar.time as UTCTimestamp, value, ...(hidden ? { color: HIDDEN } : {}) }];
}
