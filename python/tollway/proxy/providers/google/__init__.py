"""Google's Gemini API (``generateContent``), for clients of OpenAI's chat dialect."""
