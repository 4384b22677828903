/*!
 * Apache ECharts 6.1.0, the parts that the report draws with. Licensed to the Apache Software Foundation
 * (ASF) under the Apache License, Version 2.0: see LICENSE and NOTICE beside the file entry.js.
 */
// echarts.min.js is made of this by
//
//     npm install echarts@6.1.0 esbuild@0.25.5
//     npx esbuild entry.js --bundle --minify --format=iife --global-name=echarts \
//         '--define:process.env.NODE_ENV="production"' --outfile=echarts.min.js
export { getInstanceByDom, graphic, init } from "echarts/core";
import { use } from "echarts/core";
import { BarChart, CustomChart, LineChart, ParallelChart, ScatterChart } from "echarts/charts";
import {
  AriaComponent, BrushComponent, GridComponent, LegendComponent, ParallelComponent, TooltipComponent,
  VisualMapContinuousComponent,
} from "echarts/components";
import { LegacyGridContainLabel, ScatterJitter } from "echarts/features";
import { CanvasRenderer } from "echarts/renderers";

use([
  AriaComponent, BarChart, BrushComponent, CanvasRenderer, CustomChart, GridComponent, LegacyGridContainLabel,
  LegendComponent, LineChart, ParallelChart, ParallelComponent, ScatterChart, ScatterJitter, TooltipComponent,
  VisualMapContinuousComponent,
]);
