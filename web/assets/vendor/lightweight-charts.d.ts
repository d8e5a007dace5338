// The build copies the package's prebuilt module here; these are its types.
export * from "lightweight-charts";
